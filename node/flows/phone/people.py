"""Who stands at the phone: sign-in by mobile number and passcode, and the live mandate that every page asks for."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select

from consent.document import Signer
from consent.enterprise import CreditCode
from consent.signatory import Enterprise, Mandate, Signatory, passcode_matches
from node.clock import Clock, to_ms
from node.database import Reader
from node.flows.phone.errors import NotYours, PhoneFailure, SignInNeeded
from node.flows.phone.sessions import Session, Sessions
from node.flows.phone.shelf import Shelf

WINDOW_S = 300
MOBILE_TRIES = 5
ADDRESS_TRIES = 60
"""Failed sign-ins per address and window: many people may share one address, a guesser needs far more tries."""
NOBODY = "00" * 16 + "$" + "00" * 32
"""Compared when the mobile number is unknown, so that an answer takes as long as for a known one."""


class SignInRefused(PhoneFailure):
    """The sign-in did not succeed: `code` is `wrong`, `many` or `none`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Acting:
    """A signatory acting for one enterprise by a mandate that is live now; `others` are further ones (code, name)."""

    session: Session
    name_masked: str
    role: str
    enterprise: CreditCode
    enterprise_name: str
    others: tuple[tuple[str, str], ...]

    @property
    def signer(self) -> Signer:
        """As the consent document names the signer."""
        return Signer(self.session.signatory, self.name_masked, self.role, self.enterprise, self.enterprise_name)


@dataclass(frozen=True, slots=True)
class People:
    """See the module."""

    reader: Reader
    shelf: Shelf
    sessions: Sessions
    clock: Clock

    async def sign_in(self, mobile: str, passcode: str, address: str) -> Session:
        """A new session. Raises SignInRefused (5 failures a number, 60 an address in 5 minutes), ShelfDown."""
        mobile = "".join(mobile.split()).removeprefix("+86")
        tries = "phone:tries:" + hashlib.sha256(f"{mobile} {address}".encode()).hexdigest()
        at = f"phone:tries:at:{address}"
        by_number = await self.shelf.count(tries, WINDOW_S)
        by_address = await self.shelf.count(at, WINDOW_S)
        if by_number > MOBILE_TRIES or by_address > ADDRESS_TRIES:
            raise SignInRefused("many")
        person = await self.reader.first(select(Signatory).where(Signatory.mobile == mobile))
        stored = NOBODY if person is None else person.passcode_hash
        if not await asyncio.to_thread(passcode_matches, passcode, stored) or person is None:
            raise SignInRefused("wrong")
        mandates = await self._mandates(person.id, self.clock())
        if not mandates:
            raise SignInRefused("none")
        await self.shelf.drop(tries)
        await self.shelf.uncount(at)
        return await self.sessions.open(person.id, mandates[0].enterprise)

    async def act(self, session: Session) -> Acting:
        """The signatory with the mandates that are live now. Raises SignInNeeded when none is left."""
        person = await self.reader.first(select(Signatory).where(Signatory.id == session.signatory))
        mandates = {each.enterprise: each for each in await self._mandates(session.signatory, self.clock())}
        if person is None or session.enterprise not in mandates:
            await self.sessions.end(session)
            raise SignInNeeded("no live mandate")
        firms = await self.reader.all(select(Enterprise).where(col(Enterprise.code).in_(mandates)))
        names = {firm.code: firm.name for firm in firms}
        code = CreditCode.parse(session.enterprise)
        others = tuple((each, names.get(each, each)) for each in mandates if each != code)
        return Acting(session, person.name_masked, mandates[code].role, code, names.get(code, str(code)), others)

    async def switch(self, acting: Acting, enterprise: str) -> Session:
        """Act for another enterprise of the same signatory. Raises NotYours."""
        if enterprise == acting.enterprise:
            return acting.session
        if enterprise not in dict(acting.others):
            raise NotYours("no mandate")
        return await self.sessions.act_for(acting.session, enterprise)

    async def _mandates(self, signatory: str, now: datetime) -> list[Mandate]:
        statement = select(Mandate).where(Mandate.signatory == signatory, Mandate.until_ms > to_ms(now))
        return list(await self.reader.all(statement.order_by(col(Mandate.enterprise))))
