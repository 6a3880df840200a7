"""Invented firms for the tests of the judgement: records in the shape a tax department sends."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from hypothesis import strategies as st

from consent.period import Month, Period
from risk import facts
from risk.coverage import Collected, SourceState
from risk.invoices import DATASET, View, build

FACTS = Path(__file__).parents[2] / "deploy" / "sandbox" / "facts"
CARDS = Path(__file__).parents[2] / "risk" / "cards"
AS_OF = "2026-10"
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
WINDOW = Period.parse("2024-11", "2026-10")

Record = dict[str, object]


def record(period: str, direction: str = "out", **changes: object) -> Record:
    """One plain month: ten invoices over 100,000 yuan to four parties."""
    plain: Record = {
        "uscc": "91000000000000019G",
        "period": period,
        "direction": direction,
        "invoice_count": 10,
        "amount_excl_tax": "100000.00",
        "tax_amount": "13000.00",
        "voided_count": 0,
        "red_count": 0,
        "red_amount": "0.00",
        "counterparty_count": 4,
        "top1_share": "40.0000",
        "top5_share": "100.0000",
    }
    return {**plain, **changes}


def months(first: str = "2024-11", last: str = "2026-10") -> list[str]:
    """Every month of a closed range."""
    period = Period.parse(first, last)
    return [str(period.first.shift(step)) for step in range(period.months)]


def steady(first: str = "2024-11", last: str = "2026-10") -> list[Record]:
    """A firm that sells and buys the same every month."""
    return [record(month, side) for month in months(first, last) for side in ("out", "in")]


def view(records: list[Record], as_of: str = AS_OF, collected: Period = WINDOW) -> View:
    """The twenty-four months up to ``as_of``."""
    return build(records, collected).view(Month.parse(as_of), 24)


def ready(period: Period = WINDOW) -> dict[str, Collected]:
    """The invoices came, for these months."""
    return {DATASET: Collected(SourceState.READY, period)}


def real_firms() -> tuple[facts.Firm, ...]:
    """The 425 firms of the committed facts, months not shifted."""
    return facts.read(FACTS)


def _month_record(period: str, direction: str) -> st.SearchStrategy[Record]:
    def assemble(numbers: tuple[int, int, int, int, int, int]) -> Record:
        valid, voided, red, yuan, parties, share = numbers
        red = min(red, valid)
        return record(
            period,
            direction,
            invoice_count=valid + voided,
            voided_count=voided,
            red_count=red,
            amount_excl_tax=f"{yuan}.50",
            red_amount=f"{red * 7}.00",
            counterparty_count=parties,
            top1_share=f"{share}.2500",
        )

    small = st.integers(0, 30)
    return st.tuples(small, small, small, st.integers(1, 10**7), small, st.integers(0, 99)).map(assemble)


@st.composite
def histories(draw: st.DrawFn, first: str = "2024-11", last: str = "2026-10") -> list[Record]:
    """Records with gaps, in any order; the first month always carries a sale, so a card has enough history."""
    slots = [(month, side) for month in months(first, last) for side in ("out", "in")][1:]
    chosen = [draw(_month_record(month, side)) for month, side in slots if draw(st.booleans())]
    return draw(st.permutations([record(first), *chosen]))
