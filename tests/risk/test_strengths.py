"""Strengths: what gained points against the population mean, told beside the reasons."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from risk import reasons
from risk.card_file import shipped
from risk.characteristics import CATALOGUE
from risk.scorecard import score

CARD = shipped()
NAMES = [rule.characteristic.name for rule in CARD.rules]


@given(st.tuples(*[st.floats(0, 1e7, allow_nan=False) for _ in NAMES]))
def test_strengths_gain_points_and_never_repeat_a_reason(values: tuple[float, ...]) -> None:
    scored = score(CARD, dict(zip(NAMES, values, strict=True)))
    strong = reasons.strengths(scored)
    assert len(strong) <= 2
    assert all(each.lost_mpts < 0 for each in strong)
    assert {each.topic for each in strong}.isdisjoint(each.topic for each in reasons.top(scored))
    gains = [-each.lost_mpts for each in strong]
    assert gains == sorted(gains, reverse=True)


def test_a_strength_is_led_by_the_characteristic_that_gained_most() -> None:
    by_name = {each.name: each for each in CATALOGUE}
    scored = score(CARD, {name: 1e7 if "sales" in name else 0.0 for name in NAMES})
    for each in reasons.strengths(scored):
        members = [c for c in scored.contributions if c.characteristic.topic == each.topic]
        assert each.leading.lost_mpts == min(c.lost_mpts for c in members)
        assert each.code in by_name
