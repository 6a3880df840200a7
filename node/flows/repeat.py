"""A repeat under the same Idempotency-Key gets the same data again, as a further release with its own entry.

The grant must still be in force: what was revoked does not leave a second time either (law 2). The query counter does
not move.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlmodel import col, select

from consent.catalogue import Catalogue
from consent.errors import NotGranted, Refusal
from consent.evidence import Evidence, Kind
from consent.grant import Terms
from consent.scope import decode
from consent.sealing import SealBroken
from node.database import Reader
from node.flows import envelope
from node.flows.admission import Again, KeyUsed, Presented, refusal_of
from node.journal import leaf
from node.journal.act import Act, GrantLive, GuardFailed, Receipt, TokenLive
from node.journal.appender import Appender
from node.journal.leaf import Assess, Release
from node.journal.subjects import SubjectKeys, answer_identity
from node.journal.tables import Entry, KeptAnswer

Flow = Callable[[Presented, bytes, float], Awaitable[bytes]]


class BodyMismatch(Refusal):
    """The key was used for another request."""

    code = "idempotency.body_mismatch"


@dataclass(frozen=True, slots=True)
class Repeat:
    """See the module."""

    reader: Reader
    appender: Appender
    keys: SubjectKeys
    catalogue: Catalogue

    async def run(self, presented: Presented, again: Again) -> bytes:
        """The kept answer, released once more. Raises KeyUsed while the first is under way or was never released,
        BodyMismatch when the body differs or the answer holds more than today's token opens.
        """
        client_id = again.ask.client_id
        statement = select(KeptAnswer).where(KeptAnswer.client_id == client_id, KeptAnswer.key == presented.key)
        kept = await self.reader.first(statement)
        if kept is None:
            raise KeyUsed
        if kept.fingerprint != presented.fingerprint:
            raise BodyMismatch("the Idempotency-Key was used for another request")
        if not kept.sealed:
            raise KeyUsed
        first = await self._first_release(kept.query_id)
        if not _opened_by(first[1], again.terms, self.catalogue):
            raise BodyMismatch("the Idempotency-Key was used under another authorization")
        try:
            data = self.keys.sealer(None).open(kept.sealed, answer_identity(client_id, presented.key))
        except SealBroken:
            raise NotGranted("the kept answer cannot be opened") from None
        receipt = await self._append(again, first, envelope.sha256_hex(data))
        return envelope.answer(data, receipt)

    def around(self, flow: Flow) -> Flow:
        """The flow, but when its key was used before it gives the kept answer instead."""

        async def run(presented: Presented, body: bytes, wait_s: float) -> bytes:
            try:
                return await flow(presented, body, wait_s)
            except KeyUsed as used:
                if used.again is None:
                    raise
                return await self.run(presented, used.again)

        return run

    async def _first_release(self, query_id: str) -> tuple[Entry, Release | Assess]:
        kinds = col(Entry.kind).in_([Kind.REL.value, Kind.ASSESS.value])
        entry = await self.reader.first(select(Entry).where(Entry.req == query_id, kinds).order_by(col(Entry.idx)))
        if entry is None:
            raise KeyUsed
        parsed = leaf.parse(entry.leaf)
        if not isinstance(parsed, (Release, Assess)):
            raise TypeError("the entry is not a release")
        return entry, parsed

    async def _append(self, again: Again, first: tuple[Entry, Release | Assess], digest: str) -> Receipt:
        client_id, enterprise = again.ask.client_id, again.ask.enterprise
        entry, released = first
        public: dict[str, str | int | tuple[str, ...]] = {
            "req": released.req,
            "grant": released.grant,
            "ver": released.ver,
            "purpose": released.purpose,
            "items": tuple(released.items),
        }
        kind = Kind.REL if isinstance(released, Release) else Kind.ASSESS
        if isinstance(released, Release):
            public |= {"n": released.n, "retry_of": str(entry.idx)}
        else:
            public |= {"card": released.card}
        act = Act(
            (Evidence(kind, client_id, enterprise, public, {leaf.DATA_DIGEST: digest, "retry_of": entry.idx}),),
            (GrantLive(released.grant, released.ver), TokenLive(again.token_hash)),
            (),
            Evidence(Kind.DENY, client_id, enterprise, {"req": released.req, "grant": released.grant, "why": ""}),
        )
        try:
            (receipt,) = await self.appender.append(act)
        except GuardFailed as failed:
            raise refusal_of(failed.reason) from None
        return receipt


def _opened_by(released: Release | Assess, terms: Terms, catalogue: Catalogue) -> bool:
    """Whether a kept answer is of this grant, and everything in it lies within what the token opens today."""
    return released.grant == terms.id and decode(released.items, catalogue).within(terms.scope)
