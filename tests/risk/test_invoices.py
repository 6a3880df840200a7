"""Monthly arrays: exact money, two kinds of missing month, and nothing read twice or wrongly."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.period import Month, Period
from risk.errors import Unscorable
from risk.invoices import DATASET, Gap, Invoiced, build
from tests.risk.firms import WINDOW, histories, record


def only(records: list[dict[str, object]]) -> Invoiced:
    cell = build(records, Period.parse("2026-10", "2026-10")).sales[0]
    assert isinstance(cell, Invoiced)
    return cell


def test_yuan_strings_become_exact_fen() -> None:
    cell = only([record("2026-10", amount_excl_tax="-9007199254740993.07", tax_amount="0.01", red_amount="12.50")])
    assert (cell.amount_fen, cell.tax_fen, cell.red_amount_fen) == (-900719925474099307, 1, 1250)


def test_percentages_become_parts_per_million() -> None:
    cell = only([record("2026-10", top1_share="12.5000", top5_share="100.0000")])
    assert (cell.top1_ppm, cell.top5_ppm) == (125_000, 1_000_000)


def test_fields_not_released_stay_missing_and_are_no_zero() -> None:
    bare = {"period": "2026-10", "direction": "out", "invoice_count": 3, "amount_excl_tax": "1.00"}
    cell = only([bare])
    assert cell.voided_count is None and cell.top1_ppm is None and cell.tax_fen is None
    assert only([record("2026-10", voided_count=None)]).voided_count is None


def test_a_silent_month_and_a_month_never_asked_for_are_different() -> None:
    history = build([record("2026-09")], Period.parse("2026-08", "2026-10"))
    view = history.view(Month.parse("2026-11"), 5)
    assert view.sales[0] is Gap.NOT_COLLECTED
    assert view.sales[1] is Gap.SILENT
    assert isinstance(view.sales[2], Invoiced)
    assert view.sales[3] is Gap.SILENT
    assert view.sales[4] is Gap.NOT_COLLECTED


def test_a_view_wholly_outside_the_collected_months_is_not_collected() -> None:
    history = build([record("2026-09")], Period.parse("2026-08", "2026-10"))
    for as_of in ("2020-01", "2030-01"):
        assert history.view(Month.parse(as_of), 4).sales == (Gap.NOT_COLLECTED,) * 4


def test_history_begins_with_the_first_invoice_of_either_direction() -> None:
    period = Period.parse("2026-01", "2026-10")
    view = build([record("2026-09"), record("2026-06", "in")], period).view(period.last, 10)
    assert view.history == 5
    assert build([], period).view(period.last, 10).history == 0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"amount_excl_tax": 100}, "amount_excl_tax"),
        ({"amount_excl_tax": "100"}, "amount_excl_tax"),
        ({"amount_excl_tax": "1,000.00"}, "amount_excl_tax"),
        ({"amount_excl_tax": "0100.00"}, "amount_excl_tax"),
        ({"amount_excl_tax": 100.5}, "amount_excl_tax"),
        ({"amount_excl_tax": None}, "amount_excl_tax"),
        ({"invoice_count": -1}, "invoice_count"),
        ({"invoice_count": True}, "invoice_count"),
        ({"invoice_count": 2.0}, "invoice_count"),
        ({"invoice_count": None}, "invoice_count"),
        ({"voided_count": 6, "red_count": 5}, "voided_count"),
        ({"red_amount": "-1.00"}, "red_amount"),
        ({"top1_share": "100.0001"}, "top1_share"),
        ({"top1_share": "12.5"}, "top1_share"),
        ({"direction": "sideways"}, "direction"),
        ({"period": "2026-13"}, "period"),
        ({"period": None}, "period"),
    ],
)
def test_a_malformed_record_is_refused_by_field_and_its_value_is_not_told(
    changes: dict[str, object], named: str
) -> None:
    with pytest.raises(Unscorable) as caught:
        build([{**record("2026-10"), **changes}], WINDOW)
    (lack,) = caught.value.lacks
    assert lack.dataset == DATASET and named in str(lack)
    assert "1,000.00" not in caught.value.detail and "sideways" not in caught.value.detail


def test_the_same_month_twice_is_refused() -> None:
    with pytest.raises(Unscorable, match="two records"):
        build([record("2026-10"), record("2026-10", invoice_count=11)], WINDOW)


def test_records_outside_the_collected_months_are_not_read() -> None:
    outside = [record("2026-11", amount_excl_tax="broken"), record("2024-10", invoice_count=-5)]
    assert build([record("2026-10"), *outside], WINDOW) == build([record("2026-10")], WINDOW)


@settings(max_examples=40, deadline=None)
@given(histories(), st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_matter(records: list[dict[str, object]], chance: Random) -> None:
    shuffled = list(records)
    chance.shuffle(shuffled)
    assert build(shuffled, WINDOW) == build(records, WINDOW)
