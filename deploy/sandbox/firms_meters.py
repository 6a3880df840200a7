"""What power, water and gas suppliers state, simulated: use follows sales and season, bills follow use.

Usage is computed in thousandths of a unit and money in fen; a bill is issued in the month after and due on its 20th.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import lru_cache
from typing import NamedTuple

from deploy.sandbox.firms import Firm, dice, digest_of, shift, window
from deploy.sandbox.firms_staff import staff
from deploy.sandbox.firms_tax import Row, money

_POWER_SEASON = (1120, 850, 940, 930, 960, 1060, 1240, 1260, 1080, 960, 950, 1090)
_WATER_SEASON = (900, 820, 950, 980, 1020, 1080, 1150, 1160, 1070, 1000, 960, 910)
_GAS_SEASON = (1250, 1050, 1060, 980, 930, 900, 870, 880, 920, 980, 1080, 1200)
_CAPACITY = (10, 20, 50, 100, 160, 315, 630, 1250, 2500, 6300)
PUBLISHED = 24
"""Suppliers publish the catalogue's 24 months; the year before serves the comparison only."""


class Bill(NamedTuple):
    """One month's bill: number of the month in the window, shifted month, use in thousandths, amount due in fen."""

    number: int
    period: str
    due_on: date
    use: int
    fen: int


@lru_cache(maxsize=2048)
def _use(firm: Firm, kind: str) -> tuple[int, ...]:
    """Thousandths of a unit for each of the 36 months."""
    chance = dice(firm.ent, kind)
    heads = tuple(each.heads for each in staff(firm)) or (1,) * len(window())
    fixed = chance.randrange(150, 900) if kind == "electricity" else chance.randrange(4, 25)
    season = {"electricity": _POWER_SEASON, "water": _WATER_SEASON, "gas": _GAS_SEASON}[kind]
    used: list[int] = []
    for index, month in enumerate(window()):
        activity = firm.mean_sales * (300 + 700 * firm.level(index, 3) // 1000) // 1000  # machines idle, but run
        if kind == "electricity":
            units = fixed * 1000 + activity * firm.trade.kwh // 10
        elif kind == "water":
            units = fixed * 1000 + heads[index] * 2800 + activity * (12 if firm.trade.section in "CH" else 1) // 10
        else:
            units = fixed * 1000 + activity * (40 if firm.trade.section in "CH" else 2) // 10
        units = units * season[month.month - 1] // 1000 * chance.randrange(940, 1061) // 1000
        used.append(units if firm.alive(month) else units // 50)
    return tuple(used)


def electricity_usage(firm: Firm, today: date) -> list[Row] | None:
    """Power of the firm's one meter."""
    chance, used = dice(firm.ent, "electricity/meter"), _use(firm, "electricity")
    price = chance.randrange(62, 86)
    need = max(used) // 1000 // 200  # kVA at 200 hours of full load a month
    capacity = next((size for size in _CAPACITY if size >= need), need)
    volts = "v220" if capacity <= 10 else "v380" if capacity < 100 else "kv10" if capacity < 6300 else "kv35"
    rows = []
    for bill in _bills(used, today, price):
        peak, valley = bill.use * chance.randrange(52, 66) // 100, bill.use * chance.randrange(10, 21) // 100
        year_ago = used[bill.number - 12]
        change = (bill.use - year_ago) * 1_000_000 // year_ago
        rows.append(
            _settled(firm, "electricity", bill, today)
            | {
                "contract_capacity": f"{capacity}.00",
                "voltage_level": volts,
                "usage_peak": _thousandths(peak),
                "usage_valley": _thousandths(valley),
                "usage_yoy": f"{'-' if change < 0 else ''}{abs(change) // 10_000}.{abs(change) % 10_000:04d}",
            }
        )
    return rows


def water_usage(firm: Firm, today: date) -> list[Row] | None:
    """Water; None for a firm whose landlord holds the account."""
    landlord = dice(firm.ent, "water/account").randrange(100) < 8
    if firm.ent == 117 or (landlord and firm.ent not in (31, 48, 82)):
        return None
    return [
        _settled(firm, "water", bill, today)
        | {"usage_nature": firm.trade.use, "sewage_fee": money(bill.use * 140 // 1000)}
        for bill in _bills(_use(firm, "water"), today, 428)
    ]


def gas_usage(firm: Firm, today: date) -> list[Row] | None:
    """Gas; None for the many firms without an account."""
    if firm.ent != 31 and (firm.ent == 117 or dice(firm.ent, "gas/account").randrange(100) >= firm.trade.gas):
        return None
    nature = "industrial" if firm.trade.section == "C" else "commercial"
    return [
        _settled(firm, "gas", bill, today) | {"usage_nature": nature, "heat_value": "立方米"}
        for bill in _bills(_use(firm, "gas"), today, 372)
    ]


def _bills(used: tuple[int, ...], today: date, price_fen: int) -> list[Bill]:
    moved, bills = shift(today), []
    for index, month in list(enumerate(window()))[-PUBLISHED:]:
        moved_month = month.shift(moved)
        after = moved_month.shift(1)
        amount = (used[index] * price_fen + 500) // 1000
        bills.append(Bill(index, str(moved_month), date(after.year, after.month, 20), used[index], amount))
    return bills


def _thousandths(value: int) -> str:
    return f"{value // 1000}.{value % 1000:03d}"


def _settled(firm: Firm, kind: str, bill: Bill, today: date) -> Row:
    """The members every meter has: use, what was due, and how it was paid."""
    chance = dice(firm.ent, f"{kind}/bill/{bill.number}")
    late = chance.randrange(100) < (0, 12, 35, 55)[firm.strain]
    never = firm.strain == 3 and bill.number >= len(window()) - 2 and kind != "gas"
    paid_on = bill.due_on + timedelta(days=chance.randrange(3, 46) if late else -chance.randrange(1, 13))
    paid = paid_on <= today and not never
    days = max(0, ((paid_on if paid else today) - bill.due_on).days)
    row: Row = {
        "uscc": firm.code,
        "account_no_digest": digest_of(firm.ent, kind),
        "account_region": firm.region,
        "period": bill.period,
        "usage": _thousandths(bill.use),
        "amount_due": money(bill.fen),
        "amount_paid": money(bill.fen if paid else 0),
        "due_on": bill.due_on.isoformat(),
        "overdue_days": days,
        "overdue_amount": money(bill.fen if days and not paid else 0),
        "late_fee": money(bill.fen * days // 1000),  # 0.1 % a day
        "account_status": "active" if firm.ceased is None else "suspended",
    }
    return row | {"paid_on": paid_on.isoformat()} if paid else row
