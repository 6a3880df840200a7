"""Back to the bank: with a code after a yes, with access_denied after a no.

The code is minted when the person presses the button, not when the consent is signed: it lives 60 seconds (FAPI 2.0
§5.3.2.2) and reading a receipt takes longer.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass

from consent.evidence import Evidence, Kind
from consent.oauth import decide
from consent.oauth.effects import Visited
from consent.oauth.errors import OAuth2Error
from consent.oauth.issuer import Rules
from consent.oauth.pushed import Pushed, Visit
from node.clock import Clock, to_ms
from node.flows.loading import Loader
from node.flows.phone.asks import Asks, origin_of
from node.flows.phone.errors import NotYours, RequestUnknown, ShelfDown
from node.flows.phone.people import Acting
from node.flows.phone.shelf import Shelf
from node.flows.phone.signing import CLAIM_S
from node.journal.act import Act, JournalUnavailable
from node.journal.appender import Appender


@dataclass(frozen=True, slots=True)
class Returning:
    """See the module."""

    asks: Asks
    shelf: Shelf
    loader: Loader
    appender: Appender
    rules: Rules
    clock: Clock

    async def origin(self, grant_id: str) -> str:
        """Scheme and host the button leads to, "" when there is no way back any more."""
        found = await self._waiting(grant_id)
        return "" if found is None else origin_of(found[1])

    async def back(self, grant_id: str, acting: Acting) -> str:
        """Mint the code: the address at the bank. Raises NotYours, RequestUnknown, ShelfDown.

        A grant that was withdrawn meanwhile returns as access_denied.
        """
        grant = await self.loader.fresh_grant(grant_id)
        if grant is None or grant.enterprise != acting.enterprise:
            raise NotYours("grant")
        found = await self._waiting(grant_id)
        client = None if found is None else await self.loader.fresh_bank(found[1].client_id)
        if found is None or client is None:
            raise RequestUnknown("nothing to return to")
        now = self.clock()
        try:
            visited = decide.decide_visit(*found, client, now=now)
            if grant.status == "revoked":
                location = decide.decide_no(self.rules, visited, now=now).location
            else:
                approval = decide.decide_yes(self.rules, visited, grant, now=now)
                left_s = max(1, (approval.code.expires_ms - to_ms(now)) // 1000)
                await self.shelf.put(approval.code_key, approval.code.dump(), left_s)
                location = approval.location
        except OAuth2Error as error:
            raise RequestUnknown(f"{error.error}: {error.description}") from error
        with suppress(ShelfDown):
            await self.shelf.drop(f"phone:return:{grant_id}")
        return location

    async def _waiting(self, grant_id: str) -> tuple[Visit, Pushed] | None:
        text = await self.shelf.get(f"phone:return:{grant_id}")
        if text is None:
            return None
        kept = json.loads(text)
        try:
            return Visit(*kept["visit"]), Pushed.load(kept["pushed"], self.rules.catalogue)
        except OAuth2Error:
            return None

    async def refuse(self, rid: str, acting: Acting) -> str:
        """The enterprise says no, in the journal: the address at the bank. Raises RequestDecided and others."""
        ask, client = await self.asks.find(rid, acting)
        asked = ask.pushed.asked
        visited = Visited(ask.visit.key, ask.pushed, client)
        location = decide.decide_no(self.rules, visited, now=self.clock()).location
        public = {"purpose": asked.template.code, "why": "enterprise"}
        private = {
            "signatory": acting.session.signatory,
            "application_no": asked.application_no,
            "datasets": list(asked.scope.datasets),
        }
        evidence = Evidence(Kind.REJECT, client.client_id, acting.enterprise, public, private)
        await self.asks.claim(ask, "refused", CLAIM_S)
        try:
            await self.appender.append(Act((evidence,)))
        except JournalUnavailable:
            await self.asks.release(ask)
            raise
        with suppress(ShelfDown):
            await self.asks.consume(ask, "refused")
        return location
