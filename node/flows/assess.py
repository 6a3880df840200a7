"""A bank asks for a score: the data stay inside, only the judgement leaves.

admit (form `model`) → ask the departments → assess (pure) → ASSESS durable with the filed assessment → hand over.
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from adapters.minimise import Fetched
from consent.canonical import canonical
from consent.enterprise import CreditCode
from consent.errors import Invalid, Refusal
from consent.evidence import Evidence, Kind
from consent.grant import Terms
from consent.permit import Ask, Permit
from consent.scope import Scope, ScopeItem
from node.flows import envelope
from node.flows.admission import Presented, denial
from node.flows.envelope import FailedLeg, ReadyLeg
from node.flows.query import Query, check_excess, new_id, parse_query
from node.journal.act import Act, GrantLive, Insert, KeepAnswer, Receipt
from node.journal.subjects import answer_identity
from risk.assessment import Assessment, assess, last_complete_month
from risk.coverage import Collected, Record, SourceState
from risk.errors import Unscorable
from risk.filing import file
from risk.scorecard import Scorecard


class InsufficientData(Refusal):
    """Too little data to score; `extra.missing` names what is missing and why."""

    code = "score.insufficient_data"


@dataclass(frozen=True, slots=True)
class Assess:
    """See the module. Shares the query's admission and departments."""

    query: Query
    card: Scorecard

    async def run(self, presented: Presented, body: bytes, wait_s: float) -> bytes:
        """One assessment, from headers to the bytes that leave."""
        admission = self.query.admission
        caller = await admission.prove(presented)
        asked = parse_query(body)
        if asked.items is not None:
            raise Invalid("an assessment takes no items: the card says what it needs", extra={"member": "items"})
        enterprise = CreditCode.parse(asked.subject.uscc)
        grant = await admission.terms_of(caller)
        scope = None if grant is None else self._needed(grant)
        ask = Ask(new_id("qry_"), caller.token.client_id, enterprise, asked.purpose, scope, "model")
        permit = await admission.admit(caller, ask, grant, presented)
        async with self.query.ending(permit):
            return await self._answer(permit, presented, wait_s)

    def _needed(self, grant: Terms) -> Scope | None:
        """What the card needs, as far as it was granted; None (everything) when nothing of it was, to be refused later.

        Optional datasets do not move this card's score, so they are not fetched for it.
        """
        items = [i for i in grant.scope if i.dataset in self.card.required and i.form != "verify"]
        return Scope(tuple(ScopeItem(i.dataset, "model", i.fields, i.period) for i in items)) if items else None

    async def _answer(self, permit: Permit, presented: Presented, wait_s: float) -> bytes:
        legs, fetched = await self.query.ask_sources(permit, wait_s)
        check_excess(permit, fetched)
        try:
            assessment = self._judge(permit, legs, fetched)
        except Unscorable as lacking:
            missing = [each.document() for each in lacking.lacks]
            raise InsufficientData("too little data to score", extra={"missing": missing}) from None
        assessment_id = new_id("asm_")
        document = assessment.document() | {
            "assessment_id": assessment_id,
            "query_id": permit.id,
            "grant_id": permit.grant_id,
            "purpose": permit.purpose,
            "uscc": str(permit.enterprise),
        }
        data = canonical(document)
        receipt = await self._record(permit, fetched, assessment, (assessment_id, data, presented))
        return envelope.answer(data, receipt)

    def _judge(self, permit: Permit, legs: list[ReadyLeg | FailedLeg], fetched: dict[str, Fetched]) -> Assessment:
        now = self.query.admission.clock()
        periods = {item.dataset: item.period for item in permit.items}
        states = {leg.dataset: Collected(SourceState(leg.state), periods[leg.dataset]) for leg in legs}
        for dataset in set(self.card.required) - set(states):
            states[dataset] = Collected(SourceState.NOT_AUTHORISED)
        records: dict[str, list[Record]] = {
            name: msgspec.json.decode(each.records, type=list[dict[str, object]]) for name, each in fetched.items()
        }
        newest = last_complete_month(now)
        as_of = min([newest, *(periods[name].last for name in self.card.required if name in periods)])
        return assess(records, states, card=self.card, as_of=str(as_of), now=now)

    async def _record(
        self,
        permit: Permit,
        fetched: dict[str, Fetched],
        assessment: Assessment,
        leaving: tuple[str, bytes, Presented],
    ) -> Receipt:
        assessment_id, data, presented = leaving
        admission, keys = self.query.admission, self.query.keys
        items = tuple(i.encode(admission.catalogue) for i in permit.items if i.dataset in fetched)
        public: dict[str, str | int | tuple[str, ...]] = {
            "req": permit.id,
            "grant": permit.grant_id,
            "ver": permit.grant_version,
            "purpose": permit.purpose,
            "items": items,
            "card": assessment.card_digest,
        }
        private = {"data_sha256": envelope.sha256_hex(data), "inputs": dict(assessment.input_digests)}
        identity = (assessment_id, permit.id, permit.client_id, permit.grant_id)
        row = file(assessment, identity=identity, sealer=keys.sealer(None))
        sealed = keys.sealer(None).seal(data, answer_identity(permit.client_id, presented.key))
        act = Act(
            (Evidence(Kind.ASSESS, permit.client_id, permit.enterprise, public, private),),
            (GrantLive(permit.grant_id, permit.grant_version),),
            (Insert(row), KeepAnswer(permit.client_id, presented.key, sealed)),
            denial(permit.client_id, permit, ""),
        )
        (receipt,) = await admission.appender.append(act)
        return receipt
