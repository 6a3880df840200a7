"""The departments' answers: four datasets of 24 months, catalogue-valid, about 8.6 KB each for every enterprise alike.

A department answers with the fields it was asked for; the grants of the bench hold the fields below, so that every leg
has the size the measurements of the reference were made with (24 rows of 16 fields).
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from functools import cache
from typing import Any

from consent.catalogue import load
from node.clock import utc_now

VAT, STAFF, POWER, WATER = (
    "tax.vat_invoice_summary",
    "social_insurance.si_contributions",
    "electricity.electricity_usage",
    "water.water_usage",
)
DATASETS = (VAT, STAFF, POWER, WATER)
MAIN = (VAT, STAFF, POWER)
"""What a query asks; the fourth is for the slope per source."""
DEPARTMENT = {VAT: "tax", STAFF: "social_insurance", POWER: "utility", WATER: "utility"}
MONTHS = 24
_LEFT_OUT = frozenset(
    "contract_capacity voltage_level usage_peak usage_valley usage_yoy upstream_regions usage_nature sewage_fee".split()
)
Row = dict[str, Any]


def fields_of(dataset: str) -> tuple[str, ...]:
    """The granted fields, sorted."""
    return tuple(sorted(set(load().item(dataset).field_names) - _LEFT_OUT))


@cache
def months() -> tuple[str, str]:
    """First and last of the 24 complete months before this one."""
    every = _months()
    return every[0], every[-1]


@cache
def _months() -> tuple[str, ...]:
    now = utc_now()
    this = now.year * 12 + now.month - 1
    return tuple(f"{each // 12:04d}-{each % 12 + 1:02d}" for each in range(this - MONTHS, this))


def _yuan(dice: random.Random, most: int) -> str:
    return f"{dice.randrange(most // 10, most)}.{dice.randrange(100):02d}"


def _share(dice: random.Random) -> str:
    return f"{dice.randrange(10, 100)}.{dice.randrange(10_000):04d}"


def _vat(dice: random.Random, uscc: str) -> list[Row]:
    return [
        {
            "uscc": uscc,
            "period": month,
            "direction": direction,
            "invoice_count": dice.randrange(100, 999),
            "amount_excl_tax": _yuan(dice, 9_000_000),
            "tax_amount": _yuan(dice, 900_000),
            "voided_count": dice.randrange(10, 30),
            "red_count": dice.randrange(10, 30),
            "red_amount": "-" + _yuan(dice, 90_000),
            "counterparty_count": dice.randrange(10, 99),
            "top1_share": _share(dice),
            "top5_share": _share(dice),
        }
        for direction in ("out", "in")
        for month in (_months() if direction == "out" else _months()[-6:])
    ]


def _staff(dice: random.Random, uscc: str) -> list[Row]:
    return [
        {
            "uscc": uscc,
            "period": month,
            "insurance_kind": kind,
            "contribution_base": _yuan(dice, 9_000_000),
            "base_per_capita": _yuan(dice, 20_000),
            "unit_payable": _yuan(dice, 900_000),
            "unit_paid": _yuan(dice, 900_000),
            "personal_withheld": _yuan(dice, 400_000),
            "paid_on": f"{month}-15",
            "is_late": dice.randrange(9) == 0,
        }
        for kind in ("pension", "medical")
        for month in (_months() if kind == "pension" else _months()[-10:])
    ]


def _meter(dice: random.Random, uscc: str) -> list[Row]:
    account = dice.randbytes(32).hex()
    return [
        {
            "uscc": uscc,
            "account_no_digest": account,
            "account_region": "320500",
            "period": month,
            "usage": f"{dice.randrange(10_000, 99_999)}.{dice.randrange(1000):03d}",
            "amount_due": _yuan(dice, 99_999),
            "amount_paid": _yuan(dice, 99_999),
            "due_on": f"{month}-20",
            "paid_on": f"{month}-18",
            "overdue_days": dice.randrange(9),
            "overdue_amount": _yuan(dice, 999),
            "late_fee": _yuan(dice, 99),
            "account_status": "active",
        }
        for month in _months()
    ]


_ROWS: dict[str, Callable[[random.Random, str], list[Row]]] = {VAT: _vat, STAFF: _staff, POWER: _meter, WATER: _meter}
PATTERN = "91000000000000019G"
"""The code that stands in a prepared answer until an enterprise's own takes its place (same length)."""


@cache
def prepared(dataset: str) -> bytes:
    """A department's answer in compact JSON, made out to `PATTERN`."""
    rows = _ROWS[dataset](random.Random(dataset), PATTERN)
    envelope = {
        "uscc": PATTERN,
        "dataset": dataset,
        "as_of": utc_now().date().isoformat(),
        "provenance": "simulated:bench",
        "records": rows,
    }
    return json.dumps(envelope, separators=(",", ":")).encode()


def rows_of(datasets: tuple[str, ...]) -> int:
    """How many records a whole answer over the datasets holds."""
    return sum(len(json.loads(prepared(name))["records"]) for name in datasets)
