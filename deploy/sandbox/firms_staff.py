"""What the social-insurance department states, simulated: heads follow a year of sales, contributions follow heads.

Pension, medical (with maternity since 2019), unemployment and injury; rates are those of a typical city of Jiangsu.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

from consent.period import Month
from deploy.sandbox.firms import Firm, dice, shift, window
from deploy.sandbox.firms_tax import Row, last_day, money

_KINDS = {"pension": (1600, 800), "medical": (750, 200), "unemployment": (50, 50), "injury": (40, 0)}
"""Unit's and person's rate in basis points of the base."""
MAX_HEADS = 1_500


class Staff(NamedTuple):
    """One month: unshifted month, heads, base per head in fen, whether enrolled and whether paid."""

    month: Month
    heads: int
    base_fen: int
    enrolled: bool
    paid: bool


class Settled(NamedTuple):
    """How one month's contributions stand: when they were paid (None = not yet), and whether late."""

    staff: Staff
    paid_on: date | None
    late: bool


@lru_cache(maxsize=512)
def staff(firm: Firm) -> tuple[Staff, ...]:
    """The firm's staff month by month; empty for a firm that never enrolled anybody."""
    chance = dice(firm.ent, "staff")
    never = chance.randrange(100) < (60 if firm.mean_sales < 5_000 else 3)
    if firm.ent == 117 or (never and firm.ent not in (31, 48, 82)):
        return ()
    full = min(MAX_HEADS, 1 + firm.mean_sales * 12 // firm.trade.head_yuan)
    base = chance.randrange(430_000, 950_000, 500)
    gap = chance.randrange(8, 24) if firm.strain >= 2 else -9
    unpaid = chance.randrange(3, 6) if firm.strain == 3 else 0
    months: list[Staff] = []
    for index, month in enumerate(window()):
        heads = full * (600 + 400 * firm.level(index, 12) // 1000) // 1000 * chance.randrange(970, 1031) // 1000
        raised = base * (100 + 4 * ((month.ordinal - 6) // 12 - (window()[0].ordinal - 6) // 12)) // 100
        enrolled = firm.alive(month) and not gap <= index < gap + 3
        months.append(Staff(month, max(1, heads), raised, enrolled, index < len(window()) - unpaid))
    return tuple(months)


def si_enrolment(firm: Firm, today: date) -> list[Row] | None:
    """Heads per month and kind; months of a gap are stated as suspended. None: never enrolled."""
    months, moved = staff(firm), shift(today)
    rows: list[Row] = []
    before = months[0].heads if months else 0
    for each in months:
        change, before = each.heads - before, each.heads
        if not firm.alive(each.month):
            continue
        rows += [
            {
                "uscc": firm.code,
                "period": str(each.month.shift(moved)),
                "insurance_kind": kind,
                "insured_count": each.heads if each.enrolled else 0,
                "new_count": max(0, change),
                "reduced_count": max(0, -change),
                "enrolment_status": "active" if each.enrolled else "suspended",
            }
            for kind in _KINDS
        ]
    return rows or None


def si_contributions(firm: Firm, today: date) -> list[Row] | None:
    """Contributions per enrolled month and kind; a gap has no rows. None: never enrolled."""
    rows = [_contribution(firm, each, kind, shift(today)) for each in _settled(firm, today) for kind in _KINDS]
    return rows or None


def _settled(firm: Firm, today: date) -> list[Settled]:
    """Every enrolled month as it stands today: due on the 15th of the month after, then paid, late or owed."""
    chance, moved = dice(firm.ent, "contributions"), shift(today)
    settled: list[Settled] = []
    for each in staff(firm):
        late_days = chance.randrange(1, 25) if chance.randrange(100) < 12 * firm.strain else 0
        early_days = chance.randrange(1, 9)
        due_on = last_day(each.month.shift(moved + 1)).replace(day=15)
        paid_on = due_on + timedelta(days=late_days or -early_days)
        paid = each.paid and paid_on <= today
        if each.enrolled:
            settled.append(Settled(each, paid_on if paid else None, late_days > 0 if paid else today > due_on))
    return settled


def _contribution(firm: Firm, settled: Settled, kind: str, moved: int) -> Row:
    each, paid_on, late = settled
    unit_bp, person_bp = _KINDS[kind]
    base = each.heads * each.base_fen
    row: Row = {
        "uscc": firm.code,
        "period": str(each.month.shift(moved)),
        "insurance_kind": kind,
        "contribution_base": money(base),
        "base_per_capita": money(each.base_fen),
        "unit_payable": money(base * unit_bp // 10_000),
        "unit_paid": money(base * unit_bp // 10_000 if paid_on else 0),
        "personal_withheld": money(base * person_bp // 10_000 if paid_on else 0),
        "is_late": late,
    }
    return row | {"paid_on": paid_on.isoformat()} if paid_on else row


def si_arrears(firm: Firm, today: date) -> list[Row] | None:
    """One row: what is owed today, over all enrolled months. None: never enrolled."""
    if not staff(firm):
        return None
    owed = [
        each.staff.heads * each.staff.base_fen * 2440 // 10_000
        for each in reversed(_settled(firm, today))
        if each.late and each.paid_on is None
    ]
    late_fee = sum(amount * 15 * (age + 1) // 1000 for age, amount in enumerate(owed))  # 0.05 % a day
    return [
        {
            "uscc": firm.code,
            "as_of": str(window()[-1].shift(shift(today))),
            "arrears_months": len(owed),
            "arrears_amount": money(sum(owed)),
            "late_fee": money(late_fee),
            "deferred": False,
        }
    ]
