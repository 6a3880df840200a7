"""assess: a score with all that explains it, or a refusal that names everything missing."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.canonical import canonical
from consent.errors import Invalid
from consent.period import Period
from risk import card_file
from risk.assessment import Assessment, assess, digest_records, last_complete_month
from risk.coverage import Collected, SourceState
from risk.errors import Lack, Unscorable
from risk.invoices import DATASET
from tests.risk.firms import AS_OF, NOW, WINDOW, histories, months, ready, real_firms, record, steady

CARD = card_file.shipped()
GOLDEN = json.loads((Path(__file__).parent / "golden.json").read_text(encoding="utf-8"))
POWER = "electricity.electricity_usage"


def judge(records: list[dict[str, object]], states: dict[str, Collected] | None = None) -> Assessment:
    return assess({DATASET: records}, states or ready(), card=CARD, as_of=AS_OF, now=NOW)


def outcome(records: list[dict[str, object]]) -> dict[str, object]:
    """The whole document, or what was missing."""
    try:
        return judge(records).document(own_values=True)
    except Unscorable as refused:
        return {"lacks": [lack.document() for lack in refused.lacks]}


def refusal(records: list[dict[str, object]], states: dict[str, Collected]) -> tuple[Lack, ...]:
    with pytest.raises(Unscorable) as caught:
        judge(records, states)
    return caught.value.lacks


def test_a_steady_firm_is_scored_with_all_its_evidence() -> None:
    found = judge(steady())
    assert (found.scored.mpts, found.score, found.band.name, found.flags) == (597_208, 597, "B", ())
    assert found.pd == 0.052205 == round(found.pd, 6)
    assert found.card_digest == CARD.digest
    assert found.input_digests == {DATASET: digest_records(steady())}
    assert found.coverage[0].document() == {
        "dataset": DATASET, "required": True, "state": "READY", "months_with_records": 24,
    }  # fmt: skip


@pytest.mark.parametrize("case", GOLDEN["cases"], ids=lambda case: f"firm-{case['ent']}")
def test_golden_firms_score_as_written_down(case: dict[str, object]) -> None:
    records = next(firm.records for firm in real_firms() if firm.ent == case["ent"])
    period = Period.parse("2018-02", "2020-01")
    found = assess({DATASET: records}, ready(period), card=CARD, as_of="2020-01", now=datetime(2020, 2, 15, tzinfo=UTC))
    assert GOLDEN["card"] == found.card_digest
    assert {
        "ent": case["ent"],
        "mpts": found.scored.mpts,
        "score": found.score,
        "pd": f"{found.pd:.6f}",
        "band": found.band.name,
        "reasons": [f"{reason.code} {reason.lost_mpts}" for reason in found.reasons],
        "input": found.input_digests[DATASET],
    } == case


@pytest.mark.parametrize("state", [each for each in SourceState if each not in {"READY", "DISPUTED"}])
def test_a_required_dataset_that_did_not_come_is_named_with_its_state(state: SourceState) -> None:
    lacks = refusal(steady(), {DATASET: Collected(state, WINDOW)})
    assert lacks == (Lack(DATASET, "dataset", (state.value,)),)


def test_a_required_dataset_nobody_asked_for_is_named() -> None:
    assert refusal(steady(), {POWER: Collected(SourceState.READY, WINDOW)}) == (
        Lack(DATASET, "dataset", ("NOT_COLLECTED",)),
    )


def test_every_month_that_was_not_collected_is_named() -> None:
    lacks = refusal(steady(), {DATASET: Collected(SourceState.READY, Period.parse("2025-01", "2026-09"))})
    assert lacks == (Lack(DATASET, "months", ("2024-11", "2024-12", "2026-10")),)
    lacks = refusal(steady(), {DATASET: Collected(SourceState.READY)})
    assert len(lacks[0].names) == 24


@pytest.mark.parametrize(("first", "history"), [("2025-12", 11), ("2026-10", 1)])
def test_a_firm_younger_than_a_year_is_refused_by_its_history(first: str, history: int) -> None:
    (lack,) = refusal(steady(first), ready())
    assert (lack.kind, lack.names) == ("history", (f"{history} months since the first invoice", "12 needed"))


def test_no_invoice_at_all_is_a_lack_of_history_and_no_zero() -> None:
    (lack,) = refusal([], ready())
    assert lack.kind == "history"


def test_a_year_of_history_is_scored_and_flagged() -> None:
    assert judge(steady("2025-11")).flags == ("short_history",)
    assert judge(steady("2025-06")).flags == ()


def test_fields_cut_away_by_the_grant_are_named() -> None:
    names = {"voided_count", "top1_share"}
    cut = [{key: item for key, item in each.items() if key not in names} for each in steady()]
    lacks = refusal(cut, ready())
    assert {lack.kind for lack in lacks} == {"fields"}
    assert {name for lack in lacks for name in lack.names} >= names


def test_contradictory_records_are_refused_without_telling_values() -> None:
    (lack,) = refusal([*steady()[:-1], record("2026-10", "in", invoice_count=3, voided_count=987654)], ready())
    assert lack.kind == "validity" and "987654" not in str(lack)


def test_optional_datasets_show_in_the_coverage_and_leave_the_score_alone() -> None:
    alone = judge(steady())
    power = [{"period": "2026-10", "kwh": "12.00"}, {"period": "2026-09", "kwh": "11.00"}]
    states = {**ready(), POWER: Collected(SourceState.READY, WINDOW)}
    together = assess({DATASET: steady(), POWER: power}, states, card=CARD, as_of=AS_OF, now=NOW)
    assert (together.score, together.pd, together.reasons) == (alone.score, alone.pd, alone.reasons)
    shown = {each.dataset: (each.state, each.months_with_records) for each in together.coverage}
    assert shown[POWER] == (SourceState.READY, 2)
    assert shown["water.water_usage"] == (SourceState.NOT_COLLECTED, 0)
    assert set(together.input_digests) == {DATASET, POWER}


def test_records_that_came_with_a_failed_state_are_not_read() -> None:
    states = {**ready(), POWER: Collected(SourceState.INVALID_DATA, WINDOW)}
    found = assess({DATASET: steady(), POWER: [{"kwh": 1.5}]}, states, card=CARD, as_of=AS_OF, now=NOW)
    assert set(found.input_digests) == {DATASET}


def test_disputed_records_are_scored_and_flagged() -> None:
    assert judge(steady(), {DATASET: Collected(SourceState.DISPUTED, WINDOW)}).flags == ("disputed",)


def test_an_old_assessment_month_is_flagged() -> None:
    later = datetime(2027, 2, 20, tzinfo=UTC)
    assert assess({DATASET: steady()}, ready(), card=CARD, as_of=AS_OF, now=later).flags == ()
    later = datetime(2027, 3, 20, tzinfo=UTC)
    assert assess({DATASET: steady()}, ready(), card=CARD, as_of=AS_OF, now=later).flags == ("stale",)


def test_a_month_is_over_at_midnight_in_beijing() -> None:
    assert str(last_complete_month(datetime(2026, 10, 31, 15, 59, tzinfo=UTC))) == "2026-09"
    assert str(last_complete_month(datetime(2026, 10, 31, 16, 0, tzinfo=UTC))) == "2026-10"
    with pytest.raises(ValueError, match="not over"):
        assess({DATASET: steady()}, ready(), card=CARD, as_of="2026-11", now=NOW)
    with pytest.raises(ValueError, match="aware"):
        assess({DATASET: steady()}, ready(), card=CARD, as_of=AS_OF, now=datetime(2026, 11, 23))  # noqa: DTZ001
    with pytest.raises(Invalid):
        assess({DATASET: steady()}, ready(), card=CARD, as_of="2026-1", now=NOW)


def test_the_document_is_canonical_and_keeps_the_rows_to_itself() -> None:
    records = [record(month, amount_excl_tax="7654321.00", voided_count=5) for month in months()]
    found = judge([*records, *(record(month, "in") for month in months())])
    document = found.document()
    text = canonical(document).decode()
    assert document["pd"] == f"{found.pd:.6f}" and document["as_of"] == AS_OF
    assert document["assessed_at"] == "2026-11-23T08:00:00Z"
    assert "765" not in text and '"value"' not in text
    assert '"value"' in canonical(found.document(own_values=True)).decode()


def test_time_zones_do_not_change_the_document() -> None:
    beijing = NOW.astimezone(timezone(timedelta(hours=8)))
    there = assess({DATASET: steady()}, ready(), card=CARD, as_of=AS_OF, now=beijing)
    assert canonical(there.document()) == canonical(judge(steady()).document())


def test_the_input_digest_is_over_canonical_sorted_records() -> None:
    first, second = record("2026-10", "in"), record("2026-10", "out")
    by_hand = b"[" + b",".join(sorted([canonical(first), canonical(second)])) + b"]"
    assert digest_records([second, first]) == hashlib.sha256(by_hand).hexdigest()
    assert digest_records([]) == hashlib.sha256(b"[]").hexdigest()
    assert digest_records([first]) != digest_records([first, first])


@settings(max_examples=30, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_order_of_records_and_later_months_do_not_matter(records: list[dict[str, object]], chance: Random) -> None:
    shuffled = list(records)
    chance.shuffle(shuffled)
    plain, again = outcome(records), outcome(shuffled)
    assert again == plain
    later = outcome([*records, record("2026-11", amount_excl_tax="1.00")])
    assert {**later, "input_digests": None} == {**plain, "input_digests": None}
