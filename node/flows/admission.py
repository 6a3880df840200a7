"""Admission at the bank's door: who is asking, with which live grant, how often. Then the REQ entry, before any source.

Order: token → bank active → proof of possession (RFC 9449 §4.3, with `ath`) → proof burnt and rate counted, one call
to Valkey → grant → permit → REQ durable. Only then may a source be asked (law 1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from consent.catalogue import Catalogue
from consent.errors import Conflict, GrantEnded, NotGranted, ProofNotAccepted, Refusal, Suspended, Unauthenticated
from consent.evidence import Evidence, Kind
from consent.grant import Terms
from consent.oauth import dpop
from consent.oauth.errors import OAuth2Error
from consent.oauth.issuer import Issuer
from consent.oauth.token import TokenView, ath_of, digest
from consent.permit import Ask, Ground, Permit, admit
from node.clock import Clock, to_ms
from node.flows.loading import Loader
from node.journal.act import Act, GrantLive, GuardFailed, KeyNew, TokenLive, UseGrant
from node.journal.appender import Appender
from node.state import Claims

TOKEN_PREFIX = "xat_"
MAX_TOKEN = 200
NOT_ACCEPTED = "the access token is not accepted: refresh it, or ask the enterprise anew"


class RateExceeded(Refusal):
    """The bank comes too often; `extra` names the limit."""

    code = "quota.bank"


class Again(NamedTuple):
    """Who asks again under a used key, with which token, and what that token opens today."""

    ask: Ask
    token_hash: str
    terms: Terms


class KeyUsed(Conflict):
    """The Idempotency-Key was used before, by this ask's bank: the caller looks for the kept answer."""

    code = "idempotency.in_progress"

    def __init__(self, again: Again | None = None) -> None:
        super().__init__("the first request with this key is under way, or failed; use a new key")
        self.again = again


class Presented(NamedTuple):
    """What a bank's call carries, taken from its headers; nothing verified."""

    path: str
    authorization: str
    proofs: tuple[str, ...]
    key: str
    fingerprint: str
    interaction_id: str


class Caller(NamedTuple):
    """A proven caller: a live token held by the one who presents it."""

    token: TokenView
    jkt: str


@dataclass(frozen=True, slots=True)
class Admission:
    """See the module. `limit` is calls per second and bank."""

    loader: Loader
    claims: Claims
    appender: Appender
    clock: Clock
    catalogue: Catalogue
    issuer: Issuer
    limit: int
    keep_ms: int

    async def prove(self, presented: Presented) -> Caller:
        """Who is calling. Raises Unauthenticated, Suspended, RateExceeded, StateUnavailable."""
        scheme, _, value = presented.authorization.partition(" ")
        if scheme.lower() != "dpop" or not value.startswith(TOKEN_PREFIX) or len(value) > MAX_TOKEN:
            raise Unauthenticated("a DPoP-bound access token is needed", cause="scheme")
        token = await self.loader.token.get(digest(value))
        now = self.clock()
        now_ms = to_ms(now)
        if token is None or token.kind != "access" or now_ms >= token.expires_ms:
            raise Unauthenticated(NOT_ACCEPTED, cause="unknown or expired")
        proof = self._proof(presented, value, now.timestamp(), token)
        bank = await self.loader.bank.get(token.client_id)
        if bank is None or not bank.active:
            raise Suspended("the institution may not query at present")
        replay = proof.replay
        claimed = await self.claims.burn(((replay.key, replay.expires_ms),), token.client_id)
        if claimed.seen or proof.issued_ms < claimed.epoch_ms - EPOCH_SLACK_MS:
            raise Unauthenticated("the proof was used before", cause="replay or older than the memory of replays")
        if claimed.calls > self.limit:
            raise RateExceeded("too many calls this second", extra={"limit": "bank_per_s", "max": self.limit})
        if token.ended_ms:
            await self._demand_withdrawal(token)
        return Caller(token, proof.jkt)

    async def _demand_withdrawal(self, token: TokenView) -> None:
        """A token that ended because the enterprise withdrew still proves its holder, who is told so, on record.

        Raises Unauthenticated when it ended for any other reason.
        """
        self.loader.grant.forget(token.grant_id)
        grant = await self.loader.grant.get(token.grant_id)
        if grant is None or grant.status != "revoked":
            raise Unauthenticated(NOT_ACCEPTED, cause="ended")

    def _proof(self, presented: Presented, value: str, now_s: float, token: TokenView) -> dpop.Proof:
        if len(presented.proofs) != 1:
            raise Unauthenticated("exactly one DPoP proof is needed", cause="count")
        try:
            proof = dpop.verify(
                presented.proofs[0], htm="POST", htu=self.issuer.at(presented.path), now_s=now_s, ath=ath_of(value)
            )
        except OAuth2Error as error:
            raise ProofNotAccepted(error.description, cause=str(error)) from None
        if proof.jkt != token.jkt:
            raise ProofNotAccepted("the DPoP proof was made with another key than the token's")
        return proof

    async def terms_of(self, caller: Caller) -> Terms | None:
        """The grant behind a token, cut down to what the token still carries (a refresh may have narrowed it)."""
        grant = await self.loader.grant.get(caller.token.grant_id)
        if grant is None or not caller.token.items:
            return grant
        return replace(grant, scope=caller.token.scope(grant, self.catalogue))

    async def admit(self, caller: Caller, ask: Ask, grant: Terms | None, presented: Presented) -> Permit:
        """The permit for an ask, its REQ entry durable. A refusal of a known bank is in the journal before it is
        told.
        """
        now_ms = to_ms(self.clock())
        try:
            permit = admit(Ground.CONSENT, ask, grant, now_ms=now_ms)
        except Refusal as refusal:
            consumed = grant is not None and refusal.code == "consent.consumed"
            if grant is not None and consumed and await self.loader.key_known(ask.client_id, presented.key):
                raise KeyUsed(Again(ask, caller.token.hash, grant)) from None
            await self.deny(ask, refusal.code, grant, presented)
            raise
        act = self._request(caller, permit, presented, now_ms)
        try:
            await self.appender.append(act)
        except GuardFailed as failed:
            self.loader.grant.forget(permit.grant_id)
            self.loader.token.forget(caller.token.hash)
            if failed.reason == "key.used" and grant is not None:
                raise KeyUsed(Again(ask, caller.token.hash, grant)) from None
            raise refusal_of(failed.reason) from None
        return permit

    def _request(self, caller: Caller, permit: Permit, presented: Presented, now_ms: int) -> Act:
        public: dict[str, str | int | tuple[str, ...]] = {
            "req": permit.id,
            "grant": permit.grant_id,
            "ver": permit.grant_version,
            "purpose": permit.purpose,
            "items": tuple(item.encode(self.catalogue) for item in permit.items),
            "ground": permit.ground.value,
        }
        private = {"interaction": presented.interaction_id, "jkt": caller.jkt, "request_sha256": presented.fingerprint}
        key = KeyNew(permit.client_id, presented.key, presented.fingerprint, permit.id, now_ms + self.keep_ms)
        return Act(
            (Evidence(Kind.REQ, permit.client_id, permit.enterprise, public, private),),
            (key, GrantLive(permit.grant_id, permit.grant_version, quota=True), TokenLive(caller.token.hash)),
            (UseGrant(permit.grant_id),),
            denial(permit.client_id, permit, ""),
        )

    async def deny(self, ask: Ask, why: str, grant: Terms | None, presented: Presented) -> None:
        """Write down a refusal of a known bank. The enterprise it asked about sees the attempt.

        The grant is named only when it is of that enterprise: an entry must not tie one firm to another's consent.
        """
        named = grant.id if grant is not None and grant.enterprise == ask.enterprise else ""
        public = {"req": ask.query_id, "grant": named, "why": why}
        private = {
            "interaction": presented.interaction_id,
            "request_sha256": presented.fingerprint,
            "purpose": ask.purpose,
            "datasets": [item.dataset for item in ask.scope or ()],
        }
        await self.appender.append(Act((Evidence(Kind.DENY, ask.client_id, ask.enterprise, public, private),)))


EPOCH_SLACK_MS = 15_000
"""A proof may be stamped a little before the memory of replays began without having been used before it: clients'
skew.
"""


def denial(client_id: str, permit: Permit, why: str) -> Evidence:
    """A DENY for a permit that may no longer be used."""
    public = {"req": permit.id, "grant": permit.grant_id, "why": why}
    private = {"purpose": permit.purpose, "datasets": [item.dataset for item in permit.items]}
    return Evidence(Kind.DENY, client_id, permit.enterprise, public, private)


def refusal_of(reason: str) -> Refusal:
    """The refusal that a guard's reason means."""
    if reason == "token.ended":
        return Unauthenticated(NOT_ACCEPTED, cause="ended under the lock")
    if reason == "consent.unknown":
        return NotGranted("no such enterprise, or no consent of it")
    return GrantEnded("the consent is not in force", code=reason)
