"""Characteristics of a firm, computed from its invoices alone; each is declared, none is hidden in code.

A characteristic is a pure function of a View (months up to as_of). Its value is a float or a ``Missing`` state.
Whole months only, integers until the last division, no logarithm: every value is correctly rounded and
therefore the same on every machine. Source of the choice: reference risk.md §5.1 and the catalogue C06.05.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from consent.canonical import digest
from risk import formulas
from risk.invoices import DATASET, Cell, Gap, Invoiced, View

WINDOW_MONTHS = 24
"""The longest window; equals ``history_months`` of the dataset in the catalogue."""

Topic = Literal["scale", "activity", "stability", "conduct", "counterparties", "balance"]
Unit = Literal["yuan_per_month", "invoices_per_month", "parties_per_month", "months", "share", "ratio"]


class Missing(StrEnum):
    """Why a characteristic has no value. Each state has its own place on a card."""

    NOT_COLLECTED = "not_collected"
    FIELD_ABSENT = "field_absent"
    TOO_SHORT = "too_short"
    UNDEFINED = "undefined"


Value = float | Missing


@dataclass(frozen=True, slots=True)
class Characteristic:
    """What is measured and how it is told.

    ``direction`` +1: a higher value speaks for the firm, -1: against it; a card may not contradict it.
    ``history_months``: a younger firm is TOO_SHORT. ``sales``, ``purchases``: fields read of that direction.
    ``missing``: when the formula itself has no value (UNDEFINED). ``rule`` is the formula in words.
    """

    name: str
    topic: Topic
    unit: Unit
    window_months: int
    history_months: int
    direction: Literal[1, -1]
    sales: tuple[str, ...]
    purchases: tuple[str, ...]
    rule: str
    missing: str
    label_zh: str
    label_en: str
    formula: Callable[[View], float | None]
    dataset: str = DATASET

    @property
    def fields(self) -> tuple[str, ...]:
        """Catalogue fields it reads, without the keys period and direction."""
        return tuple(sorted({*self.sales, *self.purchases}))

    def measure(self, view: View) -> Value:
        """The value over the last ``window_months`` of the view, or the state that stands in its place."""
        seen = view.last(self.window_months)
        if Gap.NOT_COLLECTED in seen.sales or Gap.NOT_COLLECTED in seen.purchases:
            return Missing.NOT_COLLECTED
        if seen.history < self.history_months:
            return Missing.TOO_SHORT
        if _absent(seen.sales, self.sales) or _absent(seen.purchases, self.purchases):
            return Missing.FIELD_ABSENT
        value = self.formula(seen)
        return Missing.UNDEFINED if value is None else value

    def definition(self) -> str:
        """SHA-256 over the declaration: a card made for another meaning of the name does not load."""
        return digest(
            {
                "name": self.name,
                "unit": self.unit,
                "window_months": self.window_months,
                "history_months": self.history_months,
                "direction": self.direction,
                "dataset": self.dataset,
                "sales": list(self.sales),
                "purchases": list(self.purchases),
                "rule": self.rule,
                "missing": self.missing,
            }
        )


_ATTRIBUTE = {
    "invoice_count": "invoice_count",
    "amount_excl_tax": "amount_fen",
    "voided_count": "voided_count",
    "red_count": "red_count",
    "red_amount": "red_amount_fen",
    "counterparty_count": "counterparty_count",
    "top1_share": "top1_ppm",
}


def _absent(cells: tuple[Cell, ...], fields: tuple[str, ...]) -> bool:
    """A month with invoices lacks a field; a share may be empty where no positive amount exists."""
    for cell in cells:
        if isinstance(cell, Invoiced):
            for field in fields:
                if getattr(cell, _ATTRIBUTE[field]) is None and not (field == "top1_share" and cell.blue_fen == 0):
                    return True
    return False


MONTHLY_SALES = Characteristic(
    name="monthly_sales", topic="scale", unit="yuan_per_month", window_months=24, history_months=6, direction=1,
    sales=("amount_excl_tax",), purchases=(), formula=formulas.monthly_sales,
    rule="net sales without tax, summed, divided by the months since the first invoice",
    missing="none", label_zh="月均销项净额", label_en="average monthly net sales",
)  # fmt: skip
MONTHLY_INVOICES = Characteristic(
    name="monthly_invoices", topic="scale", unit="invoices_per_month", window_months=24, history_months=6, direction=1,
    sales=("invoice_count", "voided_count"), purchases=(), formula=formulas.monthly_invoices,
    rule="sales invoices not void, divided by the months since the first invoice",
    missing="none", label_zh="月均有效销项发票份数", label_en="average monthly number of valid sales invoices",
)  # fmt: skip
ACTIVE_SHARE = Characteristic(
    name="active_share", topic="activity", unit="share", window_months=24, history_months=6, direction=1,
    sales=("invoice_count", "voided_count"), purchases=(), formula=formulas.active_share,
    rule="months with a valid sales invoice divided by the months since the first invoice",
    missing="none", label_zh="有销项开票的月份占比", label_en="share of months with sales invoices",
)  # fmt: skip
LONGEST_SILENCE = Characteristic(
    name="longest_silence", topic="activity", unit="months", window_months=24, history_months=6, direction=-1,
    sales=("invoice_count", "voided_count"), purchases=(), formula=formulas.longest_silence,
    rule="longest run of months without a valid sales invoice since the first invoice",
    missing="none", label_zh="最长断票月数", label_en="longest run of months without sales invoices",
)  # fmt: skip
CURRENT_SILENCE = Characteristic(
    name="current_silence", topic="activity", unit="months", window_months=24, history_months=6, direction=-1,
    sales=("invoice_count", "voided_count"), purchases=(), formula=formulas.current_silence,
    rule="run of months without a valid sales invoice that lasts to the as-of month",
    missing="none", label_zh="截至评估月的连续断票月数", label_en="months without sales invoices up to now",
)  # fmt: skip
SALES_VOLATILITY = Characteristic(
    name="sales_volatility", topic="stability", unit="ratio", window_months=24, history_months=6, direction=-1,
    sales=("amount_excl_tax",), purchases=(), formula=formulas.sales_volatility,
    rule="standard deviation of monthly net sales divided by their mean, months since the first invoice",
    missing="net sales not positive", label_zh="月销项额波动系数", label_en="volatility of monthly sales",
)  # fmt: skip
SALES_GROWTH = Characteristic(
    name="sales_growth", topic="stability", unit="ratio", window_months=24, history_months=18, direction=1,
    sales=("amount_excl_tax",), purchases=(), formula=formulas.sales_growth,
    rule="mean monthly net sales of the last 12 months divided by that of the months before, from the first invoice on",
    missing="earlier net sales not positive", label_zh="近12个月与此前月均销项额之比",
    label_en="sales of the last 12 months against the months before",
)  # fmt: skip
VOID_SHARE = Characteristic(
    name="void_share", topic="conduct", unit="share", window_months=24, history_months=6, direction=-1,
    sales=("invoice_count", "voided_count"), purchases=(), formula=formulas.void_share,
    rule="void sales invoices divided by all sales invoices",
    missing="no sales invoice", label_zh="销项发票作废率", label_en="share of void sales invoices",
)  # fmt: skip
RED_SHARE = Characteristic(
    name="red_share", topic="conduct", unit="share", window_months=24, history_months=6, direction=-1,
    sales=("invoice_count", "voided_count", "red_count"), purchases=(), formula=formulas.red_share,
    rule="red sales invoices divided by sales invoices not void",
    missing="no valid sales invoice", label_zh="销项红字发票率", label_en="share of red-letter sales invoices",
)  # fmt: skip
CUSTOMERS = Characteristic(
    name="customers", topic="counterparties", unit="parties_per_month", window_months=24, history_months=6, direction=1,
    sales=("counterparty_count",), purchases=(), formula=formulas.customers,
    rule="different customers of a month, averaged over the months since the first invoice",
    missing="none", label_zh="月均客户数", label_en="average number of customers a month",
)  # fmt: skip
CUSTOMER_TOP1 = Characteristic(
    name="customer_top1", topic="counterparties", unit="share", window_months=24, history_months=6, direction=-1,
    sales=("amount_excl_tax", "red_amount", "top1_share"), purchases=(), formula=formulas.customer_top1,
    rule="share of a month's largest customer, weighted by the positive sales of the month",
    missing="no positive sales", label_zh="当月第一大客户占比", label_en="share of the largest customer of a month",
)  # fmt: skip
SUPPLIERS = Characteristic(
    name="suppliers", topic="counterparties", unit="parties_per_month", window_months=24, history_months=6, direction=1,
    sales=(), purchases=("counterparty_count",), formula=formulas.suppliers,
    rule="different suppliers of a month, averaged over the months since the first invoice",
    missing="none", label_zh="月均供应商数", label_en="average number of suppliers a month",
)  # fmt: skip
PURCHASE_RATIO = Characteristic(
    name="purchase_ratio", topic="balance", unit="ratio", window_months=24, history_months=6, direction=-1,
    sales=("amount_excl_tax",), purchases=("amount_excl_tax",), formula=formulas.purchase_ratio,
    rule="net purchases divided by net sales",
    missing="net sales not positive", label_zh="进销比", label_en="purchases against sales",
)  # fmt: skip

CATALOGUE: tuple[Characteristic, ...] = (
    MONTHLY_SALES, MONTHLY_INVOICES, ACTIVE_SHARE, LONGEST_SILENCE, CURRENT_SILENCE, SALES_VOLATILITY, SALES_GROWTH,
    VOID_SHARE, RED_SHARE, CUSTOMERS, CUSTOMER_TOP1, SUPPLIERS, PURCHASE_RATIO,
)  # fmt: skip
BY_NAME: dict[str, Characteristic] = {each.name: each for each in CATALOGUE}


def measure(view: View, chosen: tuple[Characteristic, ...] = CATALOGUE) -> dict[str, Value]:
    """Every chosen characteristic of one firm, by name."""
    return {each.name: each.measure(view) for each in chosen}
