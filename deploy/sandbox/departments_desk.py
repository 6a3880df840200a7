"""The desk of a sandbox department: which statements it gives about which firm, cut to what was asked.

It knows firms by code, answers only asked fields (with the subject and the key of the month, as the wire protocol
says), and has its own reading of months, so that it cannot share a mistake with the adapters that check it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from functools import lru_cache
from typing import Any

import msgspec

from deploy.sandbox import firms
from deploy.sandbox.firms_meters import electricity_usage, gas_usage, water_usage
from deploy.sandbox.firms_registry import basic_registration
from deploy.sandbox.firms_staff import si_arrears, si_contributions, si_enrolment
from deploy.sandbox.firms_tax import Row, tax_arrears, tax_credit_rating, vat_invoice_summary

Statement = Callable[[firms.Firm, date], list[Row] | None]

DEPARTMENTS: Mapping[str, Mapping[str, Statement]] = {
    "tax": {
        "tax.vat_invoice_summary": vat_invoice_summary,
        "tax.tax_arrears": tax_arrears,
        "tax.tax_credit_rating": tax_credit_rating,
    },
    "social_insurance": {
        "social_insurance.si_enrolment": si_enrolment,
        "social_insurance.si_contributions": si_contributions,
        "social_insurance.si_arrears": si_arrears,
    },
    "utility": {
        "electricity.electricity_usage": electricity_usage,
        "water.water_usage": water_usage,
        "gas.gas_usage": gas_usage,
    },
    "registration": {"registration.basic_registration": basic_registration},
}
_MONTH_KEYS = ("period", "as_of", "period_to", "rating_year")
_LAG_DAYS = {"tax": 3, "social_insurance": 5, "utility": 2, "registration": 1}


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of POST /v1/records."""

    dataset: str
    uscc: str
    first: str = msgspec.field(name="from")
    last: str = msgspec.field(name="to")
    fields: list[str]


@lru_cache(maxsize=4096)
def rows_of(dataset: str, ent: int, today: date) -> tuple[Row, ...] | None:
    """Everything a department knows about a firm in one dataset, as of today. None: no record."""
    for statements in DEPARTMENTS.values():
        if dataset in statements:
            rows = statements[dataset](firms.firm(ent), today)
            return None if rows is None else tuple(rows)
    raise KeyError(dataset)


def give(department: str, question: Question, today: date) -> dict[str, Any] | None:
    """The answer to a question about a known dataset of this department. None: no record."""
    ent = firms.numbers().get(question.uscc)
    rows = rows_of(question.dataset, ent, today) if ent is not None else None
    if rows is None:
        return None
    wanted = {*question.fields, "uscc"}
    cut = []
    for row in rows:
        key = next((name for name in _MONTH_KEYS if name in row), "")
        month = str(row[key])[:7] if key else ""
        if not key or question.first[: len(month)] <= month <= question.last[: len(month)]:
            cut.append({name: value for name, value in row.items() if name in wanted or name == key})
    return {
        "uscc": question.uscc,
        "dataset": question.dataset,
        "as_of": (today - timedelta(days=_LAG_DAYS[department])).isoformat(),
        "provenance": firms.real(today) if question.dataset == "tax.vat_invoice_summary" else firms.SIMULATED,
        "records": cut,
    }
