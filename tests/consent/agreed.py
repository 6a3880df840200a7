"""What the tests of the law agree on: the catalogue, an instant, a firm, its grants, and strategies over scopes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from hypothesis import strategies as st

from consent.catalogue import FORMS, Form, load
from consent.enterprise import issue_fictitious
from consent.grant import Terms
from consent.period import Month, Period
from consent.scope import Scope, ScopeItem

CATALOGUE = load()
NOW = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
FIRM, OTHER_FIRM = issue_fictitious(31), issue_fictitious(32)
BANK, OTHER_BANK = "bank-alpha", "bank-beta"
VAT, POWER, ARREARS = "tax.vat_invoice_summary", "electricity.electricity_usage", "tax.tax_arrears"
DAY_MS = 86_400_000


def item(dataset: str, fields: str = "", form: Form = "read", months: str = "2024-11/2026-10") -> ScopeItem:
    """An item; `fields` parted by blanks, none = every field of the dataset."""
    first, last = months.split("/")
    names = fields.split() or CATALOGUE.item(dataset).field_names
    return ScopeItem(dataset, form, tuple(sorted(names)), Period.parse(first, last))


def granted(*items: ScopeItem, **other: Any) -> Terms:
    """A grant in force at NOW for thirty days, three queries, none used."""
    scope = Scope.of(items or (item(VAT), item(POWER, form="model")))
    whole = Terms(
        id="grt_t",
        version=1,
        status="active",
        client_id=BANK,
        enterprise=FIRM,
        purpose="LOAN_APPLICATION",
        template_sha256="0" * 64,
        scope=scope,
        not_before_ms=NOW_MS,
        not_after_ms=NOW_MS + 30 * DAY_MS,
        max_queries=3,
        used=0,
    )
    return replace(whole, **other)


# Few datasets, few fields and few months, so that two drawn scopes often touch each other.
DATASETS = (VAT, POWER, ARREARS)


def _item(dataset: str, mask: int, form: Form, first: int, more: int) -> ScopeItem:
    names = CATALOGUE.item(dataset).field_names
    fields = tuple(sorted(name for bit, name in enumerate(names[:3]) if mask >> bit & 1))
    return ScopeItem(dataset, form, fields, Period(Month(first), Month(first + more)))


def items(*datasets: str) -> st.SearchStrategy[ScopeItem]:
    """A scope item of one of the datasets."""
    numbers = (st.integers(1, 7), st.sampled_from(FORMS), st.integers(24_310, 24_312), st.integers(0, 2))
    return st.builds(_item, st.sampled_from(datasets or DATASETS), *numbers)


def scopes() -> st.SearchStrategy[Scope]:
    """A scope, sometimes empty."""
    return st.tuples(*(st.none() | items(name) for name in DATASETS)).map(
        lambda drawn: Scope.of(each for each in drawn if each is not None)
    )
