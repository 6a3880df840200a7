"""Scoring: exact, explicit about missing values, the same alone and in company. Faults of risk.md §2.3 by name."""

from __future__ import annotations

import json
from fractions import Fraction
from math import exp, log, nan
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.period import Month
from risk import card_file, scorecard
from risk.characteristics import BY_NAME, Missing, Value, measure
from risk.errors import Unscorable
from risk.scorecard import Scaling
from tests.risk.firms import CARDS, histories, real_firms, view

CARD = card_file.shipped()
RAW = json.loads((CARDS / "sme_invoice_v1.json").read_text(encoding="utf-8"))
MIDDLE: dict[str, Value] = {rule.characteristic.name: rule.edges[0] for rule in CARD.rules}


def values() -> st.SearchStrategy[dict[str, Value]]:
    """A value of its own for every characteristic of the card, edges among them."""

    def one(rule: scorecard.Rule) -> st.SearchStrategy[Value]:
        return st.sampled_from(rule.edges) | st.floats(0, 1e9, allow_nan=False).map(float)

    return st.fixed_dictionaries({rule.characteristic.name: one(rule) for rule in CARD.rules})


def counted_by_hand(given_values: dict[str, Value]) -> int:
    """Points from the raw JSON by walking along the edges, as a reader with a pencil would."""
    total: int = RAW["intercept_mpts"]
    for rule in RAW["characteristics"]:
        own = float(given_values[rule["name"]])
        place = sum(1 for edge in rule["edges"] if own >= float(edge))
        total += rule["bins"][place]["mpts"]
    return total


@settings(max_examples=200, deadline=None)
@given(values())
def test_points_are_those_of_the_file(given_values: dict[str, Value]) -> None:
    scored = scorecard.score(CARD, given_values)
    assert scored.mpts == counted_by_hand(given_values)
    odds = 20 * 2 ** ((scored.mpts / 1000 - 600) / 20)
    assert scored.pd == pytest.approx(1 / (1 + odds), rel=1e-12)
    assert scored.score == max(300, min(850, int(Fraction(scored.mpts, 1000) + Fraction(1, 2))))


@settings(max_examples=200, deadline=None)
@given(values())
def test_losses_sum_exactly_to_the_difference_from_the_mean(given_values: dict[str, Value]) -> None:
    scored = scorecard.score(CARD, given_values)
    assert sum(each.lost_mpts for each in scored.contributions) == CARD.mean_mpts - scored.mpts


@settings(max_examples=200, deadline=None)
@given(values(), st.sampled_from([rule.characteristic.name for rule in CARD.rules]), st.floats(0, 1e9))
def test_a_better_value_never_costs_points(given_values: dict[str, Value], name: str, other: float) -> None:
    low, high = sorted([float(given_values[name]), other], key=lambda value: value * BY_NAME[name].direction)
    worse = scorecard.score(CARD, {**given_values, name: low})
    better = scorecard.score(CARD, {**given_values, name: high})
    assert worse.mpts <= better.mpts and worse.pd >= better.pd


@settings(max_examples=50, deadline=None)
@given(values(), st.randoms(use_true_random=False))
def test_reordered_inputs_score_the_same(given_values: dict[str, Value], chance: Random) -> None:
    names = list(given_values)
    chance.shuffle(names)
    assert scorecard.score(CARD, {name: given_values[name] for name in names}) == scorecard.score(CARD, given_values)


def test_further_inputs_are_not_read_and_absent_ones_are_no_default() -> None:
    assert scorecard.score(CARD, {**MIDDLE, "rating": 1.0}) == scorecard.score(CARD, MIDDLE)
    with pytest.raises(KeyError):
        scorecard.score(CARD, {name: value for name, value in MIDDLE.items() if name != "monthly_sales"})


@pytest.mark.parametrize("state", list(Missing))
def test_a_missing_state_never_seen_in_training_is_refused_not_neutral(state: Missing) -> None:
    with pytest.raises(Unscorable) as caught:
        scorecard.score(CARD, {**MIDDLE, "void_share": state, "monthly_sales": state})
    assert len(caught.value.lacks) == 2
    if state is Missing.FIELD_ABSENT:
        assert caught.value.lacks[1].names == ("invoice_count", "voided_count")
    else:
        assert caught.value.lacks[1].names == ("void_share", state.value)


@pytest.mark.parametrize("value", [nan, float("inf"), -float("inf")])
def test_a_nan_is_refused_and_never_falls_into_a_bin(value: float) -> None:
    with pytest.raises(ValueError, match="not finite"):
        scorecard.score(CARD, {**MIDDLE, "void_share": value})


@pytest.mark.parametrize("value", [None, "0.1", 1, True, "too_short"])
def test_a_value_of_the_wrong_kind_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        scorecard.score(CARD, {**MIDDLE, "void_share": value})  # type: ignore[dict-item]


def test_a_missing_state_seen_in_training_has_its_own_points() -> None:
    value = json.loads(json.dumps(RAW))
    rule = next(each for each in value["characteristics"] if each["name"] == "void_share")
    rule["bins"][0].update(n=78, bad=6)
    rule["missing"]["undefined"] = {"mpts": -25000, "n": 4, "bad": 4}
    total = sum(place["mpts"] * place["n"] for place in [*rule["bins"], rule["missing"]["undefined"]])
    rule["mean_mpts"] = card_file.rounded_mean(total, 123)
    card = card_file.parse(value)
    scored = scorecard.score(card, {**MIDDLE, "void_share": Missing.UNDEFINED})
    (contribution,) = [each for each in scored.contributions if each.characteristic.name == "void_share"]
    assert contribution.mpts == -25000


def test_a_card_survives_the_round_trip_to_the_last_bit() -> None:
    again = card_file.load(json.dumps(RAW, indent=7, sort_keys=True).encode())
    assert again == CARD and again.digest == CARD.digest
    for firm in real_firms()[:60]:
        row = _row(firm.records)
        assert scorecard.score(again, row) == scorecard.score(CARD, row)


def test_one_row_scores_as_the_batch_does() -> None:
    rows = [_row(firm.records) for firm in real_firms()]
    batch = [scorecard.score(CARD, row) for row in rows]
    alone = [scorecard.score(card_file.load((CARDS / "sme_invoice_v1.json").read_bytes()), rows[0])]
    assert batch[0] == alone[0]
    assert [scorecard.score(CARD, row) for row in reversed(rows)] == batch[::-1]


def test_scaling_doubles_the_odds_every_twenty_points_and_clips() -> None:
    scaling = Scaling()
    assert scaling.intercept_mpts(log(20)) == 600_000
    assert scaling.intercept_mpts(log(40)) == 620_000
    assert exp(scaling.log_odds(580_000)) == pytest.approx(10)
    assert [scaling.score(mpts) for mpts in (299_400, 571_499, 571_500, 900_000)] == [300, 571, 572, 850]


def test_pd_follows_the_points_before_clipping() -> None:
    value = json.loads(json.dumps(RAW))
    value["intercept_mpts"] = 1_000_000
    scored = scorecard.score(card_file.parse(value), MIDDLE)
    assert scored.score == 850
    assert scored.pd == pytest.approx(1 / (1 + 20 * 2 ** ((scored.mpts / 1000 - 600) / 20)))


@settings(max_examples=40, deadline=None)
@given(histories())
def test_every_firm_with_a_year_of_history_gets_a_score_or_a_named_lack(records: list[dict[str, object]]) -> None:
    measured = measure(view(records))
    unseen = {
        rule.characteristic.name for rule in CARD.rules if isinstance(measured[rule.characteristic.name], Missing)
    }
    if unseen:
        with pytest.raises(Unscorable) as caught:
            scorecard.score(CARD, measured)
        assert {lack.names[0] for lack in caught.value.lacks} == unseen
    else:
        scored = scorecard.score(CARD, measured)
        assert 300 <= scored.score <= 850 and 0 < scored.pd < 1


def _row(records: tuple[dict[str, object], ...]) -> dict[str, Value]:
    period = CARD.period(Month.parse("2020-01"))
    return measure(view(list(records), as_of="2020-01", collected=period))
