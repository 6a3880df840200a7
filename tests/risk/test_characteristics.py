"""Characteristics: worked values, states in place of values, and no look beyond as_of."""

from __future__ import annotations

from math import isclose, isfinite

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.period import Period
from risk.characteristics import BY_NAME, CATALOGUE, WINDOW_MONTHS, Missing, Value, measure
from tests.risk.firms import WINDOW, histories, months, record, steady, view


def value(name: str, records: list[dict[str, object]]) -> Value:
    return BY_NAME[name].measure(view(records))


def test_a_steady_firm_has_the_plain_values() -> None:
    assert measure(view(steady())) == {
        "monthly_sales": 100_000.0,
        "monthly_invoices": 10.0,
        "active_share": 1.0,
        "longest_silence": 0.0,
        "current_silence": 0.0,
        "sales_volatility": 0.0,
        "sales_growth": 1.0,
        "void_share": 0.0,
        "red_share": 0.0,
        "customers": 4.0,
        "customer_top1": 0.4,
        "suppliers": 4.0,
        "purchase_ratio": 1.0,
    }


def test_silence_counts_since_the_first_invoice_only() -> None:
    # First invoice 2025-11 (12 months of history), sales again in 2026-02 and 2026-07, then three silent months.
    records = [record(month) for month in ("2025-11", "2026-02", "2026-07")]
    assert value("active_share", records) == 3 / 12
    assert value("longest_silence", records) == 4.0
    assert value("current_silence", records) == 3.0
    assert value("monthly_sales", records) == 300_000 / 12


def test_a_month_of_void_invoices_only_is_silent() -> None:
    void: dict[str, object] = {
        "invoice_count": 2,
        "voided_count": 2,
        "amount_excl_tax": "0.00",
        "counterparty_count": 0,
    }
    records = [*steady("2024-11", "2026-09"), {**record("2026-10"), **void}]
    assert value("current_silence", records) == 1.0
    assert value("monthly_invoices", records) == 230 / 24
    assert value("void_share", records) == 2 / 232


def test_volatility_is_the_coefficient_of_variation() -> None:
    records = [
        record(month, amount_excl_tax=f"{100 if number % 2 else 300}.00") for number, month in enumerate(months())
    ]
    assert value("sales_volatility", records) == 0.5


def test_growth_compares_monthly_means_of_two_years() -> None:
    records = [record(month, amount_excl_tax="100.00") for month in months("2024-11", "2025-10")]
    records += [record(month, amount_excl_tax="150.00") for month in months("2025-11", "2026-10")]
    assert value("sales_growth", records) == 1.5
    # Six months of a young firm's first year weigh as six, not as twelve with gaps.
    assert value("sales_growth", records[6:]) == 1.5


def test_red_invoices_lower_the_net_and_count_apart() -> None:
    records = steady()
    records[-2] = record(
        "2026-10", red_count=2, red_amount="60000.00", amount_excl_tax="-20000.00", top1_share="75.0000"
    )
    assert value("monthly_sales", records) == (23 * 100_000 - 20_000) / 24
    assert value("red_share", records) == 2 / 240
    # Positive sales of that month are 40,000: the net plus what the red invoices took back.
    assert isclose(
        float(value("customer_top1", records)), (23 * 100_000 * 0.4 + 40_000 * 0.75) / (23 * 100_000 + 40_000)
    )


def test_concentration_of_a_month_without_positive_sales_may_be_empty() -> None:
    records = steady()
    records[-2] = record("2026-10", red_count=1, red_amount="500.00", amount_excl_tax="-500.00", top1_share=None)
    assert value("customer_top1", records) == 0.4


@pytest.mark.parametrize(
    ("field", "touched"),
    [
        ("voided_count", {"monthly_invoices", "active_share", "longest_silence", "current_silence"}),
        ("voided_count", {"void_share", "red_share"}),
        ("red_count", {"red_share"}),
        ("top1_share", {"customer_top1"}),
        ("red_amount", {"customer_top1"}),
        ("counterparty_count", {"customers", "suppliers"}),
    ],
)
def test_a_field_that_was_not_released_is_a_state_and_never_a_zero(field: str, touched: set[str]) -> None:
    records = [{key: item for key, item in each.items() if key != field} for each in steady()]
    measured = measure(view(records))
    assert {name for name in touched if measured[name] is Missing.FIELD_ABSENT} == touched
    assert isinstance(measured["monthly_sales"], float)


def test_months_that_were_not_collected_are_a_state() -> None:
    short = Period.parse("2024-12", "2026-10")
    measured = measure(view(steady("2024-12"), collected=short))
    assert set(measured.values()) == {Missing.NOT_COLLECTED}


def test_a_young_firm_is_too_short_and_not_silent() -> None:
    measured = measure(view(steady("2026-06")))
    assert set(measured.values()) == {Missing.TOO_SHORT}
    measured = measure(view(steady("2026-05")))
    assert measured["active_share"] == 1.0 and measured["sales_growth"] is Missing.TOO_SHORT


def test_a_formula_without_a_denominator_is_undefined() -> None:
    measured = measure(view([record(month, "in") for month in months()]))
    undefined = {"sales_volatility", "sales_growth", "void_share", "red_share", "customer_top1", "purchase_ratio"}
    assert {name for name, each in measured.items() if each is Missing.UNDEFINED} == undefined
    assert measured["monthly_sales"] == 0.0 and measured["current_silence"] == 24.0


@settings(max_examples=40, deadline=None)
@given(histories(), histories("2026-07", "2026-12"))
def test_nothing_after_as_of_is_read(past: list[dict[str, object]], other: list[dict[str, object]]) -> None:
    until = [each for each in past if str(each["period"]) <= "2026-06"]
    future = [each for each in other if str(each["period"]) > "2026-06"]
    seen = measure(view(until + future, as_of="2026-06", collected=Period.parse("2024-07", "2026-12")))
    blind = measure(view(until, as_of="2026-06", collected=Period.parse("2024-07", "2026-06")))
    assert seen == blind


@settings(max_examples=40, deadline=None)
@given(histories())
def test_values_are_finite_and_shares_are_shares(records: list[dict[str, object]]) -> None:
    for name, each in measure(view(records)).items():
        if isinstance(each, float):
            assert isfinite(each) and each >= 0.0
            if BY_NAME[name].unit == "share":
                assert each <= 1.0


@settings(max_examples=30, deadline=None)
@given(histories(), st.integers(2, 50))
def test_only_the_scale_feels_the_currency(records: list[dict[str, object]], factor: int) -> None:
    def scaled(amount: object) -> str:
        fen = int(str(amount).replace(".", "")) * factor
        return f"{fen // 100}.{fen % 100:02d}"

    larger = [
        {**each, "amount_excl_tax": scaled(each["amount_excl_tax"]), "red_amount": scaled(each["red_amount"])}
        for each in records
    ]
    before, after = measure(view(records)), measure(view(larger))
    for name, each in before.items():
        if isinstance(each, Missing):
            assert after[name] is each
        else:
            expected = each * factor if name == "monthly_sales" else each
            assert isclose(float(after[name]), expected, rel_tol=1e-12)


def test_every_characteristic_is_declared_in_full() -> None:
    assert 8 <= len(CATALOGUE) == len(BY_NAME)
    for each in CATALOGUE:
        assert each.history_months <= each.window_months <= WINDOW_MONTHS == WINDOW.months
        assert each.fields and each.rule and each.missing
        assert any("\u4e00" <= sign <= "\u9fff" for sign in each.label_zh)
        assert each.label_en.isascii()


def test_a_changed_declaration_changes_its_digest() -> None:
    digests = {each.definition() for each in CATALOGUE}
    assert len(digests) == len(CATALOGUE)
