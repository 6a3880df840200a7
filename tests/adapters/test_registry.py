"""The declarative sources are validated against the catalogue, and a leg stays cheap."""

import cProfile
import pstats
from typing import Any

import pytest

from adapters.minimise import minimise
from adapters.registry import RegistryError, build_registry, load_registry
from adapters.shape import shape_of
from consent.catalogue import load
from consent.enterprise import issue_fictitious
from tests.adapters.asking import POWER, answer, item

LINE: dict[str, Any] = {"department": "tax", "path": "/v1/records", "deadline_ms": 4000, "max_bytes": 4096}


def test_the_shipped_registry_serves_what_the_sandbox_states() -> None:
    assert {entry.department for entry in load_registry().values()} == {
        "tax",
        "social_insurance",
        "utility",
        "registration",
    }


@pytest.mark.parametrize(
    ("dataset", "change"),
    [
        ("tax.no_such_item", {}),
        ("tax.tax_arrears", {"path": "v1/records"}),
        ("tax.tax_arrears", {"path": "/v1/records?x=1"}),
        ("tax.tax_arrears", {"deadline_ms": 0}),
        ("tax.tax_arrears", {"max_bytes": 4 * 1024 * 1024 + 1}),
        ("tax.tax_arrears", {"department": "Tax"}),
        ("tax.tax_arrears", {"retries": 3}),
    ],
)
def test_a_line_that_breaks_a_rule_is_refused(dataset: str, change: dict[str, Any]) -> None:
    with pytest.raises(RegistryError):
        build_registry({"version": 1, "sources": {dataset: LINE | change}}, load())


def test_every_type_of_the_catalogue_has_a_shape() -> None:
    for each in load().items.values():
        for field in each.fields:
            assert shape_of(field, load()).decoded is not None


def test_a_leg_of_24_rows_is_minimised_in_few_python_calls() -> None:
    firm, names = issue_fictitious(7), load().item(POWER).field_names[:12]
    fixed = {"uscc": firm, "account_no_digest": "ab" * 32, "account_region": "320500", "usage": "12.345"}
    money = dict.fromkeys(("amount_due", "amount_paid", "overdue_amount", "late_fee"), "12.50")
    dates = {"due_on": "2026-01-20", "paid_on": "2026-01-19", "overdue_days": 0}
    months = [f"{2025 + n // 12}-{n % 12 + 1:02d}" for n in range(22)]
    body = answer(POWER, firm, [fixed | money | dates | {"period": month} for month in months])
    minimise(body, item(POWER, names), firm, "utility")
    profile = cProfile.Profile()
    profile.runcall(minimise, body, item(POWER, names), firm, "utility")
    assert int(pstats.Stats(profile).total_calls) < 70  # type: ignore[attr-defined]
