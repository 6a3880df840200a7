"""A bank queries: admit → ask the departments in parallel → minimise → REL durable → hand over.

No transaction is open while departments are asked. What came back is checked against the permit once more before it
leaves (law 4); what the journal did not record does not leave (law 1); what was revoked meanwhile does not leave (law
2).
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Annotated

import msgspec

from adapters.errors import SourceFailure
from adapters.excess import excess
from adapters.minimise import Fetched
from adapters.source import Source
from consent.enterprise import CreditCode
from consent.errors import Invalid, Refusal
from consent.evidence import Evidence, Kind
from consent.period import Period
from consent.permit import Ask, Permit
from consent.scope import Scope, ScopeItem
from node.flows import envelope
from node.flows.admission import Admission, Presented, denial, refusal_of
from node.flows.envelope import Data, FailedLeg, ReadyLeg
from node.journal.act import Act, GrantLive, GuardFailed, JournalUnavailable, KeepAnswer, Receipt
from node.journal.subjects import SubjectKeys, answer_identity

MAX_FIELDS = 64


class _Subject(msgspec.Struct, forbid_unknown_fields=True):
    uscc: str


class _Months(msgspec.Struct, forbid_unknown_fields=True, rename={"first": "from", "last": "to"}):
    first: str
    last: str


Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_.]{1,80}$")]
"""Datasets, fields and purposes are names; anything else is refused before it can be echoed or kept."""


class _ItemPart(msgspec.Struct, forbid_unknown_fields=True):
    dataset: Name
    fields: list[Name] | None = None
    period: _Months | None = None
    form: str = "read"


class QueryBody(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a query. Without `items`, everything granted for reading is asked."""

    subject: _Subject
    purpose: Name
    items: list[_ItemPart] | None = None


class ExcessFound(Refusal):
    """A source's answer went beyond the permit in spite of everything; it was dropped whole."""

    code = "source.excess"


def _once(pairs: list[tuple[str, object]]) -> None:
    """A member named twice is refused: of two firms in one body, nobody should have to guess which was meant."""
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a member stands twice")


_ONCE = json.JSONDecoder(object_pairs_hook=_once).decode
_DECODE = msgspec.json.Decoder(QueryBody).decode


def parse_query(body: bytes) -> QueryBody:
    """Read a query's body. Raises Invalid; nothing of the body is echoed."""
    try:
        _ONCE(body.decode())
        return _DECODE(body)
    except (ValueError, RecursionError):
        raise Invalid("the body is not a query", extra={"member": "body"}) from None


def new_id(prefix: str) -> str:
    """A fresh id with 96 bits of chance."""
    return prefix + os.urandom(12).hex()


def asked_scope(parts: Sequence[_ItemPart], granted: Scope) -> Scope:
    """What is asked, with the grant's fields and months where the bank names none. Raises Invalid.

    A dataset that was not granted keeps its name and fails later, where the refusal is recorded.
    """
    items = []
    for part in parts:
        if part.form != "read" or (part.fields is not None and not 1 <= len(part.fields) <= MAX_FIELDS):
            raise Invalid("an item names read fields, or none for all", extra={"member": "items"})
        grant = granted.by_dataset.get(part.dataset)
        fields = tuple(sorted(set(part.fields or ()))) or (grant.fields if grant else ("uscc",))
        items.append(ScopeItem(part.dataset, "read", fields, _asked_period(part, granted)))
    return Scope.of(items)


def _asked_period(part: _ItemPart, granted: Scope) -> Period:
    if part.period is not None:
        return Period.parse(part.period.first, part.period.last)
    for item in sorted(granted, key=lambda each: each.dataset != part.dataset):
        return item.period
    raise Invalid("a period is needed", extra={"member": "items.period"})


@dataclass(frozen=True, slots=True)
class Query:
    """See the module."""

    admission: Admission
    sources: Source
    department_of: Callable[[str], str]
    keys: SubjectKeys
    count_leg: Callable[[str, str], None]

    async def run(self, presented: Presented, body: bytes, wait_s: float) -> bytes:
        """One query, from headers to the bytes that leave."""
        caller = await self.admission.prove(presented)
        asked = parse_query(body)
        enterprise = CreditCode.parse(asked.subject.uscc)
        grant = await self.admission.terms_of(caller)
        scope = None if asked.items is None else asked_scope(asked.items, grant.scope if grant else Scope(()))
        ask = Ask(new_id("qry_"), caller.token.client_id, enterprise, asked.purpose, scope)
        permit = await self.admission.admit(caller, ask, grant, presented)
        async with self.ending(permit):
            return await self._answer(permit, presented, wait_s)

    async def _answer(self, permit: Permit, presented: Presented, wait_s: float) -> bytes:
        legs, fetched = await self.ask_sources(permit, wait_s)
        check_excess(permit, fetched)
        data, digest = envelope.encode(
            Data(permit.grant_id, legs, permit.purpose, permit.id, envelope.status_of(legs), str(permit.enterprise))
        )
        sealed = self.keys.sealer(None).seal(data, answer_identity(permit.client_id, presented.key))
        effects = (KeepAnswer(permit.client_id, presented.key, sealed),)
        receipt = await self.release(permit, fetched, digest, effects)
        return envelope.answer(data, receipt)

    async def ask_sources(self, permit: Permit, wait_s: float) -> tuple[list[ReadyLeg | FailedLeg], dict[str, Fetched]]:
        """Every item of the permit at its department, in parallel, under one deadline."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + wait_s
        items = permit.items
        if len(items) == 1:
            results = [await self._leg(permit, items[0], deadline)]
        else:
            results = await asyncio.gather(*[self._leg(permit, item, deadline) for item in items])
        moment = self.admission.clock().isoformat(timespec="seconds")[:19] + "Z"
        legs: list[ReadyLeg | FailedLeg] = []
        fetched: dict[str, Fetched] = {}
        for item, result in zip(items, results, strict=True):
            if isinstance(result, SourceFailure):
                legs.append(envelope.failed(item.dataset, self.department_of(item.dataset), result))
                self.count_leg(item.dataset, result.state)
            else:
                legs.append(envelope.ready(result, moment))
                fetched[item.dataset] = result
                self.count_leg(item.dataset, result.state)
        return legs, fetched

    async def _leg(self, permit: Permit, item: ScopeItem, deadline: float) -> Fetched | SourceFailure:
        try:
            return await self.sources.fetch(permit, item, deadline)
        except SourceFailure as failure:
            return failure

    async def release(
        self, permit: Permit, fetched: dict[str, Fetched], digest: str, effects: tuple[KeepAnswer, ...]
    ) -> Receipt:
        """The REL entry, durable. Raises GuardFailed when the grant ended meanwhile, JournalUnavailable."""
        catalogue = self.admission.catalogue
        items = tuple(item.encode(catalogue) for item in permit.items if item.dataset in fetched)
        public: dict[str, str | int | tuple[str, ...]] = {
            "req": permit.id,
            "grant": permit.grant_id,
            "ver": permit.grant_version,
            "purpose": permit.purpose,
            "items": items,
            "n": sum(each.count for each in fetched.values()),
            "retry_of": "",
        }
        states = {
            item.dataset: fetched[item.dataset].state if item.dataset in fetched else "FAILED" for item in permit.items
        }
        evidence = Evidence(
            Kind.REL, permit.client_id, permit.enterprise, public, {"data_sha256": digest, "states": states}
        )
        guards = (GrantLive(permit.grant_id, permit.grant_version),)
        on_refusal = denial(permit.client_id, permit, "")
        (receipt,) = await self.admission.appender.append(Act((evidence,), guards, effects, on_refusal))
        return receipt

    @asynccontextmanager
    async def ending(self, permit: Permit) -> AsyncIterator[None]:
        """Whatever happens to an admitted query, it gets an end in the journal: REL, DENY, or ABORT with the reason.

        When the journal itself is out there is none to be had; housekeeping closes the query later.
        """
        why = "error"
        try:
            yield
        except GuardFailed as failed:
            why = ""
            raise refusal_of(failed.reason) from None
        except JournalUnavailable:
            why = ""
            raise
        except Refusal as refusal:
            why = refusal.code
            raise
        else:
            why = ""
        finally:
            if why:
                await self._abort(permit, why)

    async def _abort(self, permit: Permit, why: str) -> None:
        public = {"req": permit.id, "why": why}
        await self.admission.appender.append(Act((Evidence(Kind.ABORT, permit.client_id, permit.enterprise, public),)))


def check_excess(permit: Permit, fetched: dict[str, Fetched]) -> None:
    """The second pair of eyes. Raises ExcessFound."""
    for item in permit.items:
        answer = fetched.get(item.dataset)
        if answer is not None and excess(answer.records, item):
            raise ExcessFound("an answer was dropped", extra={"dataset": item.dataset})
