"""Withdrawing a consent: two taps, at once, no reason asked. Of Valkey it needs the session and nothing more.

What is appended ends the grant and every token of it in one transaction under the journal's lock (law 2).
"""

from __future__ import annotations

from dataclasses import dataclass

from consent.errors import Conflict
from consent.grant import GrantState, revoke, terms
from consent.oauth.issuer import Rules
from node.clock import Clock, to_ms
from node.flows.loading import Loader
from node.flows.phone.account import Account
from node.flows.phone.errors import StateChanged
from node.flows.phone.people import Acting
from node.journal.act import Act, EndGrant, GrantLive, GuardFailed
from node.journal.appender import Appender

WHY = "withdrawn"


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """See the module."""

    account: Account
    loader: Loader
    appender: Appender
    rules: Rules
    clock: Clock

    async def confirm(self, grant_id: str, acting: Acting) -> None:
        """End the grant. Raises NotYours, StateChanged when it ended meanwhile, JournalUnavailable.

        Pressing twice is no error: a grant the enterprise withdrew already stays withdrawn.
        """
        row = await self.account.row(grant_id, acting)
        current = terms(row, self.rules.catalogue)
        if current.status == "revoked":
            return
        try:
            ended, evidence = revoke(current, by="enterprise", why=WHY)
        except Conflict as error:
            raise StateChanged(error.detail) from error
        alive = current.state(to_ms(self.clock())) is GrantState.ACTIVE
        guards = (GrantLive(current.id, current.version),) if alive else ()
        effect = EndGrant(current.id, ended.version, "enterprise", WHY)
        try:
            await self.appender.append(Act((evidence,), guards, (effect,)))
        except GuardFailed as failed:
            if failed.reason not in ("consent.revoked", "consent.state_conflict"):
                raise StateChanged(failed.reason) from failed
        self.loader.grant.forget(current.id)
