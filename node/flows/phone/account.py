"""What a signatory finds at home: waiting requests, grants alive and ended, one grant with its history, receipts."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, select

from consent import document
from consent.enterprise import CreditCode
from consent.grant import Grant, GrantState, terms
from consent.oauth.issuer import Rules
from node.clock import Clock, from_ms, to_ms
from node.database import Reader
from node.flows.phone.asks import Asks
from node.flows.phone.errors import NotYours, ShelfDown
from node.flows.phone.people import Acting
from node.flows.phone.proofs import Proving, receipt_json
from node.flows.phone.returning import Returning
from node.flows.phone.review import ItemShown, show_item
from node.flows.phone.timeline import Line, Timelines
from node.journal.tables import Entry

DAY_MS = 86_400_000
LISTED = 100
"""Grants on one page; an enterprise with more is served by the regulator's desk."""


@dataclass(frozen=True, slots=True)
class GrantShown:
    """A grant as pages show it."""

    id: str
    version: int
    state: GrantState
    client_id: str
    purpose: str
    items: tuple[ItemShown, ...]
    begins: datetime
    ends: datetime
    created: datetime
    max_queries: int
    used: int


@dataclass(frozen=True, slots=True)
class GrantCard:
    """A grant in a list: the bank's name as signed, what is left of its time, when it ended."""

    grant: GrantShown
    bank: str
    product: str
    left_days: int
    left_percent: int
    over: datetime


@dataclass(frozen=True, slots=True)
class GrantList:
    """The page of grants: alive or ended, and how many of each."""

    grants: tuple[GrantCard, ...]
    ended: bool
    counts: tuple[int, int]


@dataclass(frozen=True, slots=True)
class GrantPage:
    """One grant with everything that happened under it."""

    grant: GrantShown
    bank: str
    product: str
    code: str
    history: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class AskCard:
    """A waiting request on the home page."""

    rid: str
    bank: str
    purpose: str
    required: int
    optional: int
    expires: datetime


@dataclass(frozen=True, slots=True)
class Home:
    """The home page."""

    asks: tuple[AskCard, ...]
    active: int
    recent: int
    blocked: int
    total: int
    latest: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class ReceiptPage:
    """The receipt of a grant, or of its withdrawal. `returns` is the origin of the bank while there is a way back."""

    grant: GrantShown
    bank: str
    code: str
    index: int
    year: int
    leaf_hash: str
    address: str
    when: datetime
    returns: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """See the module."""

    reader: Reader
    asks: Asks
    timelines: Timelines
    proving: Proving
    returning: Returning
    rules: Rules
    clock: Clock

    async def home(self, acting: Acting) -> Home:
        """The home page. The list of waiting requests is left out when Valkey does not answer."""
        now_ms = to_ms(self.clock())
        try:
            waiting = await self.asks.waiting(acting)
        except ShelfDown:
            waiting = []
        cards = []
        for ask, bank in waiting:
            asked, required = ask.pushed.asked, len(ask.pushed.asked.required)
            optional, expires = len(asked.scope) - required, from_ms(ask.expires_ms)
            cards.append(AskCard(ask.rid, bank.name, asked.template.code, required, optional, expires))
        grants = await self._grants(acting.enterprise, now_ms)
        recent, _, _ = await self.timelines.counts(acting.enterprise, now_ms - 30 * DAY_MS)
        _, blocked, total = await self.timelines.counts(acting.enterprise)
        latest = await self.timelines.latest(acting.enterprise, 5)
        alive = sum(alive_state(each.grant.state) for each in grants)
        return Home(tuple(cards), alive, recent, blocked, total, tuple(latest))

    async def grants(self, acting: Acting, *, ended: bool) -> GrantList:
        """The grants that are alive, or those that have ended."""
        cards = await self._grants(acting.enterprise, to_ms(self.clock()))
        alive = sum(alive_state(each.grant.state) for each in cards)
        chosen = tuple(each for each in cards if alive_state(each.grant.state) != ended)
        return GrantList(chosen, ended, (alive, len(cards) - alive))

    async def _grants(self, enterprise: CreditCode, now_ms: int) -> list[GrantCard]:
        statement = select(Grant).where(Grant.enterprise == enterprise).order_by(col(Grant.created_ms).desc())
        return [self._card(row, now_ms) for row in await self.reader.all(statement.limit(LISTED))]

    def _card(self, row: Grant, now_ms: int) -> GrantCard:
        signed = json.loads(row.document)
        whole = max(1, row.not_after_ms - row.not_before_ms)
        left = max(0, row.not_after_ms - now_ms)
        shown = self.show(row)
        over = row.ended_ms if shown.state is GrantState.REVOKED else min(row.not_after_ms, now_ms)
        percent = min(100, 100 * left // whole)
        return GrantCard(
            shown, signed["recipient"]["name"], signed["product"], -(-left // DAY_MS), percent, from_ms(over)
        )

    async def row(self, grant_id: str, acting: Acting) -> Grant:
        """A grant of the enterprise acted for. Raises NotYours."""
        row = await self.reader.first(select(Grant).where(Grant.id == grant_id[:64]))
        if row is None or row.enterprise != acting.enterprise:
            raise NotYours("grant")
        return row

    async def grant(self, grant_id: str, acting: Acting) -> GrantPage:
        """One grant. Raises NotYours."""
        row = await self.row(grant_id, acting)
        signed = json.loads(row.document)
        history = await self.timelines.of_grant(acting.enterprise, row.id)
        code = document.check_code(row.document.encode())
        return GrantPage(self.show(row), signed["recipient"]["name"], signed["product"], code, tuple(history))

    def show(self, row: Grant) -> GrantShown:
        """A row as pages show it."""
        found = terms(row, self.rules.catalogue)
        return GrantShown(
            id=row.id,
            version=row.version,
            state=found.state(to_ms(self.clock())),
            client_id=row.client_id,
            purpose=row.purpose,
            items=tuple(show_item(item, self.rules) for item in found.scope),
            begins=from_ms(row.not_before_ms),
            ends=from_ms(row.not_after_ms),
            created=from_ms(row.created_ms),
            max_queries=row.max_queries,
            used=row.used,
        )

    async def receipt(self, grant_id: str, acting: Acting, kind: str = "GRANT") -> ReceiptPage:
        """The receipt of a grant (GRANT) or of its withdrawal (REVOKE). Raises NotYours."""
        row = await self.row(grant_id, acting)
        entry = await self.entry(row, kind)
        path = f"/phone/receipts/{row.id}" if kind == "GRANT" else f"/phone/grants/{row.id}/withdrawn"
        returns = await self._returns(row.id) if kind == "GRANT" else ""
        return ReceiptPage(
            grant=self.show(row),
            bank=json.loads(row.document)["recipient"]["name"],
            code=document.check_code(row.document.encode()),
            index=entry.idx,
            year=entry.log_year,
            leaf_hash=entry.leaf_hash.hex(),
            address=self.rules.issuer.at(path),
            when=from_ms(entry.ts),
            returns=returns,
        )

    async def _returns(self, grant_id: str) -> str:
        try:
            return await self.returning.origin(grant_id)
        except ShelfDown:
            return ""

    async def entry(self, row: Grant, kind: str) -> Entry:
        """The journal entry of an act on a grant. Raises NotYours when there is none."""
        statement = select(Entry).where(Entry.grant_id == row.id, Entry.kind == kind).order_by(col(Entry.ts))
        found: Sequence[Entry] = await self.reader.all(statement)
        if not found:
            raise NotYours("entry")
        return found[0]

    async def receipt_file(self, grant_id: str, acting: Acting) -> dict[str, Any]:
        """Everything needed to prove a consent offline: the signed document, the signature, the journal's receipt."""
        row = await self.row(grant_id, acting)
        entry = await self.entry(row, "GRANT")
        details = await self.proving.openings.open(entry)
        data = row.document.encode()
        return {
            "type": "urn:xyd:consent-receipt:1",
            "document": json.loads(data),
            "document_text": row.document,
            "document_sha256": hashlib.sha256(data).hexdigest(),
            "check_code": document.check_code(data),
            "challenge": document.challenge_text(data),
            "signature": json.loads(row.signature),
            "assurance": row.assurance,
            "receipt": receipt_json(await self.proving.prove(entry), details),
        }


def alive_state(state: GrantState) -> bool:
    """Shown under 生效中: a bank may query now or will."""
    return state in (GrantState.ACTIVE, GrantState.NOT_YET)
