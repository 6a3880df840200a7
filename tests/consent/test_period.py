"""Months and closed ranges of months."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.errors import Invalid
from consent.period import Month, Period

FIRST, LAST = Month.parse("1900-01"), Month.parse("2199-12")
MONTHS = st.integers(FIRST.ordinal, LAST.ordinal).map(Month)
PERIODS = st.lists(MONTHS, min_size=2, max_size=2).map(sorted).map(lambda two: Period(two[0], two[1]))
QUICK = settings(deadline=None, max_examples=150)


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026", "2026-1", "2026-13", "2026-00", "26-01", "2026-011", "2026/01", "202601", "2026-01-01"),
        *(" 2026-01", "2026-01 ", "2026-01\n", "-2026-01", "1899-12", "2200-01", "0000-01"),
        *("２０２６-01", "2026-０1", "2026-1٠"),
    ],
)
def test_only_YYYY_MM_from_1900_to_2199_is_a_month(text: str) -> None:
    with pytest.raises(Invalid):
        Month.parse(text)


@pytest.mark.parametrize("text", ["1900-01", "1999-12", "2000-01", "2026-11", "2199-12"])
def test_a_month_is_written_as_it_was_read(text: str) -> None:
    month = Month.parse(text)
    assert str(month) == text and f"{month.year:04d}-{month.month:02d}" == text


@given(MONTHS, st.integers(-1200, 1200))
@QUICK
def test_shifting_is_exact_and_goes_back(month: Month, by: int) -> None:
    shifted = month.shift(by)
    assert shifted.shift(-by) == month
    assert (shifted.year - month.year) * 12 + shifted.month - month.month == by
    assert (shifted > month) is (by > 0)


def test_december_is_followed_by_january() -> None:
    assert str(Month.parse("2026-12").shift(1)) == "2027-01" and str(Month.parse("2027-01").shift(-1)) == "2026-12"


@given(MONTHS, MONTHS)
@QUICK
def test_months_order_as_their_text(one: Month, other: Month) -> None:
    assert (one < other) is (str(one) < str(other)) and (one == other) is (str(one) == str(other))


def test_a_period_may_hold_one_month_but_never_none() -> None:
    assert Period.parse("2026-11", "2026-11").months == 1
    with pytest.raises(Invalid):
        Period.parse("2026-11", "2026-10")


@given(PERIODS, MONTHS)
@QUICK
def test_a_period_holds_both_its_ends_and_what_is_between(period: Period, month: Month) -> None:
    assert period.first in period and period.last in period
    assert period.first.shift(-1) not in period and period.last.shift(1) not in period
    assert (month in period) is (str(period.first) <= str(month) <= str(period.last))


@given(PERIODS, PERIODS, MONTHS)
@QUICK
def test_the_meet_holds_exactly_the_months_both_hold(one: Period, other: Period, month: Month) -> None:
    meet = one.meet(other)
    assert (meet is not None and month in meet) is (month in one and month in other)
    assert meet == other.meet(one)
    assert one.within(other) is (meet == one)


@given(PERIODS)
@QUICK
def test_a_period_is_written_as_it_was_read(period: Period) -> None:
    first, last = str(period).split("/")
    assert Period.parse(first, last) == period
    assert period.months == len(range(period.first.ordinal, period.last.ordinal + 1))
