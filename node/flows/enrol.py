"""Enrolment by the operator: banks, enterprises, signatories and their mandates. Each through the journal."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from consent.enterprise import CreditCode
from consent.errors import Conflict, Invalid
from consent.evidence import Evidence, Kind
from consent.oauth.bank import Enrolment, enrol
from consent.signatory import ROLES, Enterprise, Mandate, Signatory, hash_passcode
from node.clock import Clock, to_ms
from node.journal.act import Act, GuardFailed, Insert
from node.journal.appender import Appender


@dataclass(frozen=True, slots=True)
class Enrol:
    """See the module. `loopback` allows http redirect URIs on this machine (sandbox)."""

    appender: Appender
    clock: Clock
    loopback: bool

    async def bank(self, asked: Enrolment) -> None:
        """Admit a bank. Raises Invalid, Conflict when the client_id is taken."""
        row, evidence = enrol(asked, now=self.clock(), loopback=self.loopback)
        await self._append(Act((evidence,), (), (Insert(row),)))

    async def enterprise(self, code: CreditCode, name: str) -> None:
        """Make an enterprise known. Raises Conflict when it is known already."""
        await self._append(Act((_enrolled(code, "enterprise"),), (), (Insert(Enterprise(code=str(code), name=name)),)))

    async def signatory(self, mobile: str, name_masked: str, passcode: str) -> str:
        """A new signatory; the id. Raises Conflict when the mobile number is taken, Invalid when it is none."""
        if not (mobile.isascii() and mobile.isdigit() and len(mobile) == 11):
            raise Invalid("a mobile number has 11 digits", extra={"member": "mobile"})
        identity = f"sig_{secrets.token_urlsafe(9)}"
        row = Signatory(id=identity, mobile=mobile, name_masked=name_masked, passcode_hash=hash_passcode(passcode))
        await self._append(Act((_enrolled(None, "signatory"),), (), (Insert(row),)))
        return identity

    async def mandate(self, signatory: str, code: CreditCode, role: str, days: int) -> None:
        """A signatory may act for an enterprise for so many days. Raises Conflict when there is such a mandate."""
        if role not in ROLES:
            raise Invalid("unknown role", extra={"member": "role"})
        until_ms = to_ms(self.clock()) + days * 86_400_000
        row = Mandate(signatory=signatory, enterprise=str(code), role=role, until_ms=until_ms)
        await self._append(Act((_enrolled(code, "mandate"),), (), (Insert(row),)))

    async def _append(self, act: Act) -> None:
        try:
            await self.appender.append(act)
        except GuardFailed as failed:
            raise Conflict("it is there already", cause=failed.reason) from None


def _enrolled(code: CreditCode | None, what: str) -> Evidence:
    return Evidence(Kind.BANK, "node", code, {"act": f"enrol-{what}"})
