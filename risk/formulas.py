"""The arithmetic of the characteristics: plain functions of a View whose months were all collected.

A silent month counts as zero invoices and zero yuan, months before the firm's first invoice do not count at all.
None means that the formula has no value for this firm (a zero denominator), never "bad" or "good".
Integers are summed exactly; the one division at the end is correctly rounded (IEEE 754).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt

from risk.invoices import PPM, Cell, Invoiced, View

FEN_PER_YUAN = 100
YEAR = 12


def _sum(cells: Sequence[Cell], of: Callable[[Invoiced], int]) -> int:
    return sum(of(cell) for cell in cells if isinstance(cell, Invoiced))


def _since_first(view: View) -> tuple[Cell, ...]:
    return view.sales[len(view.sales) - view.history :]


def _net(cell: Cell) -> int:
    return cell.amount_fen if isinstance(cell, Invoiced) else 0


def _sells(cell: Cell) -> bool:
    """A month with at least one sales invoice that was not void."""
    return isinstance(cell, Invoiced) and cell.invoice_count > (cell.voided_count or 0)


def monthly_sales(view: View) -> float | None:
    """Yuan a month."""
    return _sum(view.sales, lambda cell: cell.amount_fen) / (FEN_PER_YUAN * view.history)


def monthly_invoices(view: View) -> float | None:
    """Valid invoices a month."""
    return _sum(view.sales, lambda cell: cell.invoice_count - (cell.voided_count or 0)) / view.history


def active_share(view: View) -> float | None:
    """0..1."""
    return sum(map(_sells, view.sales)) / view.history


def longest_silence(view: View) -> float | None:
    """Months, 0..window."""
    longest = run = 0
    for cell in _since_first(view):
        run = 0 if _sells(cell) else run + 1
        longest = max(longest, run)
    return float(longest)


def current_silence(view: View) -> float | None:
    """Months, 0..window."""
    run = 0
    for cell in reversed(view.sales):
        if _sells(cell):
            break
        run += 1
    return float(run)


def sales_volatility(view: View) -> float | None:
    """Population standard deviation over mean, 0 or more; None unless net sales are positive."""
    amounts = [_net(cell) for cell in _since_first(view)]
    total = sum(amounts)
    if total <= 0:
        return None
    return sqrt(len(amounts) * sum(amount * amount for amount in amounts) - total * total) / total


def sales_growth(view: View) -> float | None:
    """Ratio of monthly means, last year over the months before it; 12 against 12 months cancels the New Year dip."""
    earlier = view.sales[:-YEAR]
    before = sum(map(_net, earlier))
    if before <= 0:
        return None
    return (sum(map(_net, view.sales[-YEAR:])) * (view.history - YEAR)) / (before * YEAR)


def void_share(view: View) -> float | None:
    """0..1; None without a sales invoice."""
    issued = _sum(view.sales, lambda cell: cell.invoice_count)
    return _sum(view.sales, lambda cell: cell.voided_count or 0) / issued if issued else None


def red_share(view: View) -> float | None:
    """0..1; None without a valid sales invoice."""
    valid = _sum(view.sales, lambda cell: cell.invoice_count - (cell.voided_count or 0))
    return _sum(view.sales, lambda cell: cell.red_count or 0) / valid if valid else None


def customers(view: View) -> float | None:
    """Customers a month."""
    return _sum(view.sales, lambda cell: cell.counterparty_count or 0) / view.history


def customer_top1(view: View) -> float | None:
    """0..1; None without positive sales."""
    blue = _sum(view.sales, lambda cell: cell.blue_fen)
    return _sum(view.sales, lambda cell: cell.blue_fen * (cell.top1_ppm or 0)) / (blue * PPM) if blue else None


def suppliers(view: View) -> float | None:
    """Suppliers a month."""
    return _sum(view.purchases, lambda cell: cell.counterparty_count or 0) / view.history


def purchase_ratio(view: View) -> float | None:
    """Net purchases over net sales; None unless net sales are positive."""
    sold = sum(map(_net, view.sales))
    return sum(map(_net, view.purchases)) / sold if sold > 0 else None
