"""Monthly invoice arrays of one firm, built from records of dataset ``tax.vat_invoice_summary``.

Source of the fields: catalogue C06.05 增值税发票汇总; direction codes: list ``invoice_direction`` (out 销项, in 进项).
Money is int fen, shares are int parts per million, months are contiguous. A month without a record is
SILENT if the department was asked for it, NOT_COLLECTED if not: two states, never a zero in disguise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from consent.errors import Invalid
from consent.period import Month, Period
from risk.errors import Lack, Unscorable

DATASET = "tax.vat_invoice_summary"
KEYS = ("period", "direction")
ALWAYS = ("invoice_count", "amount_excl_tax")
"""Fields without which a record says nothing; every other one may be missing and stays missing."""
Direction = Literal["out", "in"]
DIRECTIONS: tuple[Direction, Direction] = ("out", "in")

_MONEY = re.compile(r"(-?)(0|[1-9][0-9]{0,15})\.([0-9]{2})")
_PERCENT = re.compile(r"(0|[1-9][0-9]?|100)\.([0-9]{4})")
PPM = 1_000_000


class Gap(Enum):
    """A month without figures. SILENT: asked for, no invoice. NOT_COLLECTED: never asked for."""

    SILENT = "silent"
    NOT_COLLECTED = "not_collected"


@dataclass(frozen=True, slots=True)
class Invoiced:
    """One month of one direction. Optional fields the department did not release are None, never zero.

    ``invoice_count`` holds void and red invoices too; ``amount_fen`` is the net of those not void.
    """

    invoice_count: int
    amount_fen: int
    tax_fen: int | None
    voided_count: int | None
    red_count: int | None
    red_amount_fen: int | None
    counterparty_count: int | None
    top1_ppm: int | None
    top5_ppm: int | None

    @property
    def blue_fen(self) -> int:
        """Positive amounts not void, in fen: the net plus what red invoices took back; never below 0."""
        return max(self.amount_fen + (self.red_amount_fen or 0), 0)


Cell = Invoiced | Gap


@dataclass(frozen=True, slots=True)
class View:
    """The last months up to an as-of month, oldest first; nothing later can be reached from here.

    ``history`` = months since the first invoice of either direction inside the view, 0 without one.
    The month before the first invoice and a month of silence look the same at the source, so the first invoice
    is where a firm's history begins.
    """

    sales: tuple[Cell, ...]
    purchases: tuple[Cell, ...]

    @property
    def history(self) -> int:
        """Months from the first invoice to the last month of the view, both counted."""
        for index, (sold, bought) in enumerate(zip(self.sales, self.purchases, strict=True)):
            if isinstance(sold, Invoiced) or isinstance(bought, Invoiced):
                return len(self.sales) - index
        return 0

    def last(self, months: int) -> View:
        """The same as-of month, fewer months."""
        return View(self.sales[-months:], self.purchases[-months:])


@dataclass(frozen=True, slots=True)
class InvoiceHistory:
    """All months of one firm that were collected; index 0 is ``collected.first``."""

    collected: Period
    sales: tuple[Cell, ...]
    purchases: tuple[Cell, ...]

    def view(self, as_of: Month, months: int) -> View:
        """``months`` months that end with ``as_of``; months outside the collected ones are NOT_COLLECTED."""
        start = as_of.ordinal - months + 1 - self.collected.first.ordinal
        return View(_slice(self.sales, start, months), _slice(self.purchases, start, months))


def _slice(cells: tuple[Cell, ...], start: int, months: int) -> tuple[Cell, ...]:
    inside = cells[max(start, 0) : max(start + months, 0)]
    before = min(max(-start, 0), months)
    after = months - before - len(inside)
    return (Gap.NOT_COLLECTED,) * before + inside + (Gap.NOT_COLLECTED,) * after


def build(records: Iterable[Mapping[str, object]], collected: Period) -> InvoiceHistory:
    """Arrays over the collected months; records of other months are not read.

    The order of records does not matter. Raises Unscorable (kind ``validity``, naming month and field) when a
    record is malformed, contradicts itself or stands twice.
    """
    cells: dict[Direction, list[Cell]] = {side: [Gap.SILENT] * collected.months for side in DIRECTIONS}
    for record in records:
        month = _month(record.get("period"))
        if month not in collected:
            continue
        side = _direction(record.get("direction"), month)
        index = month.ordinal - collected.first.ordinal
        if isinstance(cells[side][index], Invoiced):
            raise _invalid(month, f"two records for direction {side}")
        cells[side][index] = _invoiced(record, month)
    return InvoiceHistory(collected, tuple(cells["out"]), tuple(cells["in"]))


def _invoiced(record: Mapping[str, object], month: Month) -> Invoiced:
    cell = Invoiced(
        invoice_count=_required(_count(record, "invoice_count", month), month, "invoice_count"),
        amount_fen=_required(_money(record, "amount_excl_tax", month), month, "amount_excl_tax"),
        tax_fen=_money(record, "tax_amount", month),
        voided_count=_count(record, "voided_count", month),
        red_count=_count(record, "red_count", month),
        red_amount_fen=_money(record, "red_amount", month),
        counterparty_count=_count(record, "counterparty_count", month),
        top1_ppm=_share(record, "top1_share", month),
        top5_ppm=_share(record, "top5_share", month),
    )
    if (cell.voided_count or 0) + (cell.red_count or 0) > cell.invoice_count:
        raise _invalid(month, "voided_count and red_count exceed invoice_count")
    if cell.red_amount_fen is not None and cell.red_amount_fen < 0:
        raise _invalid(month, "red_amount below zero")
    return cell


def _invalid(month: Month | str, what: str) -> Unscorable:
    return Unscorable((Lack(DATASET, "validity", (f"{month} {what}",)),))


def _required(value: int | None, month: Month, name: str) -> int:
    if value is None:
        raise Unscorable((Lack(DATASET, "fields", (name, str(month))),))
    return value


def _month(value: object) -> Month:
    if not isinstance(value, str):
        raise _invalid("a record", "without period")
    try:
        return Month.parse(value)
    except Invalid:
        raise _invalid("a record", "with a malformed period") from None


def _direction(value: object, month: Month) -> Direction:
    if value == "out":
        return "out"
    if value == "in":
        return "in"
    raise _invalid(month, "unknown direction")


def _count(record: Mapping[str, object], name: str, month: Month) -> int | None:
    value = record.get(name)
    if value is None:
        return None
    if type(value) is not int or value < 0:
        raise _invalid(month, f"{name} is no count")
    return value


def _money(record: Mapping[str, object], name: str, month: Month) -> int | None:
    """Yuan with two digits, as string, to fen."""
    value = record.get(name)
    if value is None:
        return None
    match = _MONEY.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise _invalid(month, f"{name} is no amount")
    fen = int(match[2]) * 100 + int(match[3])
    return -fen if match[1] else fen


def _share(record: Mapping[str, object], name: str, month: Month) -> int | None:
    """Per cent with four digits, as string, to parts per million."""
    value = record.get(name)
    if value is None:
        return None
    match = _PERCENT.fullmatch(value) if isinstance(value, str) else None
    ppm = int(match[1]) * 10_000 + int(match[2]) if match is not None else PPM + 1
    if ppm > PPM:
        raise _invalid(month, f"{name} is no percentage")
    return ppm
