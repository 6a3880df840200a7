"""Asks: a bank's pushed request as the phone remembers it, from the first visit to the decision.

The `request_uri` is short-lived (RFC 9126); once opened on a phone the request waits for a person, 72 hours at most.
It is consumed by the decision, so visiting it again works until then (FAPI 2.0 §5.3.2.2).
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from consent.oauth import decide
from consent.oauth.bank import BankView
from consent.oauth.errors import OAuth2Error
from consent.oauth.issuer import Rules
from consent.oauth.pushed import Pushed, Visit
from node.clock import Clock, to_ms
from node.flows.loading import Loader
from node.flows.phone.errors import NotYours, RequestDecided, RequestUnknown
from node.flows.phone.people import Acting
from node.flows.phone.shelf import Shelf

WAIT_S = 72 * 3600
MAX_ID = 40


@dataclass(frozen=True, slots=True)
class Ask:
    """A remembered request: what the browser brought first, and what the bank pushed. `rid` holds 128 random bits."""

    rid: str
    visit: Visit
    pushed: Pushed

    @property
    def expires_ms(self) -> int:
        """When it lapses undecided."""
        return self.pushed.expires_ms


@dataclass(frozen=True, slots=True)
class Asks:
    """See the module."""

    shelf: Shelf
    loader: Loader
    rules: Rules
    clock: Clock

    async def visit(self, query: bytes) -> str:
        """A browser at the authorization endpoint: the ask's rid. Raises RequestUnknown, RequestDecided."""
        try:
            return await self._visit(Visit.parse(query))
        except OAuth2Error as error:
            raise RequestUnknown(f"{error.error}: {error.description}") from error

    async def _visit(self, visit: Visit) -> str:
        rid = await self.shelf.get(_visited(visit.key)) or ""
        if rid and await self.shelf.get(_claim(rid)) is not None:
            raise RequestDecided
        pushed = await self._remembered(rid) if rid else await self._pushed(visit.key)
        client = await self.loader.fresh_bank(visit.client_id)
        now = self.clock()
        visited = decide.decide_visit(visit, pushed, client, now=now)
        if not rid:
            rid = "ask_" + secrets.token_urlsafe(16)
            ask = Ask(rid, visit, replace(visited.pushed, expires_ms=to_ms(now) + WAIT_S * 1000))
            await self._keep(ask)
        return rid

    async def _pushed(self, key: str) -> Pushed | None:
        text = await self.shelf.get(key)
        return None if text is None else Pushed.load(text, self.rules.catalogue)

    async def _remembered(self, rid: str) -> Pushed | None:
        text = await self.shelf.get(_ask(rid))
        return None if text is None else Pushed.load(json.loads(text)["pushed"], self.rules.catalogue)

    async def _keep(self, ask: Ask) -> None:
        kept = {"visit": [ask.visit.client_id, ask.visit.request_uri], "pushed": ask.pushed.dump(self.rules.catalogue)}
        await self.shelf.put(_ask(ask.rid), json.dumps(kept), WAIT_S)
        await self.shelf.put(_visited(ask.visit.key), ask.rid, WAIT_S)
        await self.shelf.add(_waiting(ask.pushed.asked.enterprise), ask.rid, WAIT_S)

    async def find(self, rid: str, acting: Acting) -> tuple[Ask, BankView]:
        """A waiting ask of the enterprise acted for, and the bank. Raises NotYours, RequestDecided, RequestUnknown."""
        if len(rid) > MAX_ID:
            raise NotYours("shape")
        if await self.shelf.get(_claim(rid)) is not None:
            raise RequestDecided
        found = await self._find(rid)
        if found is None or found[0].pushed.asked.enterprise != acting.enterprise:
            raise NotYours("no such ask for this enterprise")
        return found

    async def _find(self, rid: str) -> tuple[Ask, BankView] | None:
        text = await self.shelf.get(_ask(rid))
        if text is None:
            return None
        kept = json.loads(text)
        try:
            ask = Ask(rid, Visit(*kept["visit"]), Pushed.load(kept["pushed"], self.rules.catalogue))
        except OAuth2Error as error:
            raise RequestUnknown(str(error.error)) from error
        client = await self.loader.fresh_bank(ask.pushed.client_id)
        if client is None or not client.active or to_ms(self.clock()) >= ask.expires_ms:
            raise RequestUnknown("bank gone or request lapsed")
        return ask, client

    async def enterprise_of(self, rid: str) -> str:
        """Whom a waiting ask is for, "" when there is none: lets a signatory of several change to the right one."""
        pushed = await self._remembered(rid) if len(rid) <= MAX_ID else None
        return "" if pushed is None else str(pushed.asked.enterprise)

    async def bank_of(self, rid: str) -> str:
        """The name of the bank that asks, for the sign-in page; "" when there is no such ask."""
        found = await self._find(rid) if len(rid) <= MAX_ID else None
        return "" if found is None else found[1].name

    async def waiting(self, acting: Acting) -> list[tuple[Ask, BankView]]:
        """What waits for a decision of the enterprise acted for; lapsed and decided ones fall out."""
        found = []
        for rid in await self.shelf.members(_waiting(acting.enterprise)):
            try:
                found.append(await self.find(rid, acting))
            except (NotYours, RequestDecided, RequestUnknown):
                await self.shelf.remove(_waiting(acting.enterprise), rid)
        return found

    async def claim(self, ask: Ask, what: str, ttl_s: int) -> None:
        """The decision belongs to one caller. Raises RequestDecided for every other."""
        if not await self.shelf.claim(_claim(ask.rid), what, ttl_s):
            raise RequestDecided

    async def release(self, ask: Ask) -> None:
        """The decision could not be recorded: the request waits on."""
        await self.shelf.drop(_claim(ask.rid))

    async def consume(self, ask: Ask, what: str) -> None:
        """The decision is recorded: neither the request_uri nor its page can be used again."""
        await self.shelf.put(_claim(ask.rid), what, WAIT_S)
        await self.shelf.drop(ask.visit.key, _ask(ask.rid), f"phone:draft:{ask.rid}")
        await self.shelf.remove(_waiting(ask.pushed.asked.enterprise), ask.rid)


def origin_of(pushed: Pushed) -> str:
    """Scheme and host of the bank's redirect URI: what a page with a form must allow (CSP form-action)."""
    parts = urlsplit(pushed.redirect_uri)
    return f"{parts.scheme}://{parts.netloc}"


def _ask(rid: str) -> str:
    return f"phone:ask:{rid}"


def _claim(rid: str) -> str:
    return f"phone:decided:{rid}"


def _visited(key: str) -> str:
    return "phone:visit:" + hashlib.sha256(key.encode()).hexdigest()


def _waiting(enterprise: str) -> str:
    return f"phone:asks:{enterprise}"
