"""The sandbox's firms: valid against the catalogue, the same on every machine, and following their invoices."""

import json
import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest

from adapters.minimise import minimise
from consent.catalogue import load
from consent.enterprise import CreditCode
from consent.period import Month, Period
from consent.scope import ScopeItem
from deploy.sandbox import firms
from deploy.sandbox.departments_desk import DEPARTMENTS, Question, give, rows_of
from deploy.sandbox.firms_staff import staff

TODAY = date(2026, 11, 23)
DATASETS = [(department, dataset) for department, each in DEPARTMENTS.items() for dataset in each]
SOME = sorted({*range(1, firms.FIRMS + 1, 5), *(scenario.ent for scenario in firms.SCENARIOS)})
ROOT = Path(__file__).parents[2]


def asked(department: str, dataset: str, ent: int, today: date = TODAY) -> bytes | None:
    """The department's answer about everything the catalogue lets anyone ask, None for no record."""
    item = load().item(dataset)
    last = Month(today.year * 12 + today.month - 2)
    first = last.shift(1 - max(1, item.history_months))
    question = Question(dataset, str(firms.firm(ent).code), str(first), str(last), list(item.field_names))
    given = give(department, question, today)
    return None if given is None else json.dumps(given, ensure_ascii=False, separators=(",", ":")).encode()


@pytest.mark.parametrize(("department", "dataset"), DATASETS)
@pytest.mark.parametrize("today", [TODAY, date(2027, 1, 1), date(2028, 3, 31)])
def test_every_statement_is_valid_against_the_catalogue(department: str, dataset: str, today: date) -> None:
    names = tuple(sorted(load().item(dataset).field_names))
    last = Month(today.year * 12 + today.month - 2)
    permitted = ScopeItem(
        dataset, "read", names, Period(last.shift(1 - (load().item(dataset).history_months or 1)), last)
    )
    for ent in SOME:
        body = asked(department, dataset, ent, today)
        if body is None:
            continue
        fetched = minimise(body, permitted, firms.firm(ent).code, department)
        assert {flag.partition(":")[0] for flag in fetched.quality} <= {"months_missing"}
        assert fetched.as_of < today.isoformat()
        kind = "real:cumcm-2020c months shifted" if dataset == "tax.vat_invoice_summary" else "simulated:seed=20261123"
        assert fetched.provenance.startswith(kind)


def test_same_seed_same_bytes_in_any_process() -> None:
    program = (
        "import hashlib, datetime; from deploy.sandbox.departments_desk import DEPARTMENTS, rows_of\n"
        "datasets = [dataset for each in DEPARTMENTS.values() for dataset in each]\n"
        "rows = [rows_of(d, e, datetime.date(2026, 11, 23)) for e in (1, 31, 82, 400) for d in datasets]\n"
        "print(hashlib.sha256(repr(rows).encode()).hexdigest())"
    )
    seen = {
        subprocess.check_output([sys.executable, "-c", program], cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed})
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def test_no_draw_depends_on_the_day() -> None:
    for ent in (1, 31, 82):
        now, later = (rows_of("electricity.electricity_usage", ent, day) for day in (TODAY, date(2027, 5, 2)))
        assert now is not None
        assert later is not None
        assert [row["usage"] for row in now] == [row["usage"] for row in later]


def test_codes_are_the_contracts_and_names_are_plainly_fictitious() -> None:
    everyone = firms.firms()
    assert everyone[0].code == CreditCode.parse("91000000000000019G")
    assert len({firm.code for firm in everyone}) == len({firm.name for firm in everyone}) == firms.FIRMS == 425
    assert all(firm.name.startswith("沙箱") and "*" not in firm.name for firm in everyone)


@pytest.mark.parametrize(
    ("today", "last"), [(TODAY, "2026-10"), (date(2026, 12, 1), "2026-11"), (date(2027, 1, 31), "2026-12")]
)
def test_real_months_are_shifted_to_the_last_complete_one(today: date, last: str) -> None:
    rows = rows_of("tax.vat_invoice_summary", 31, today)
    assert rows is not None
    assert max(str(row["period"]) for row in rows) == last
    assert firms.real(today) == f"real:cumcm-2020c months shifted {firms.shift(today):+d}"
    fact = firms.invoices()[31][-1]
    moved = [row for row in rows if (row["period"], row["direction"]) == (last, fact.direction)]
    assert [row["amount_excl_tax"] for row in moved] == [f"{fact.amount_yuan}.00"]


def test_social_insurance_follows_invoices() -> None:
    following = judged = 0
    for firm in firms.firms():
        heads = [each.heads for each in staff(firm)]
        levels = [firm.level(index, 12) for index in range(firms.MONTHS)]
        if not heads or max(heads) < 10 or max(levels) - min(levels) < 300:
            continue
        judged += 1
        high, low = levels.index(max(levels)), levels.index(min(levels))
        following += heads[high] > heads[low]
    assert judged > 50
    assert following == judged


def test_electricity_follows_sales_and_adds_up() -> None:
    high = low = 0
    for ent in SOME:
        rows = rows_of("electricity.electricity_usage", ent, TODAY)
        assert rows is not None
        uses = [int(str(row["usage"]).replace(".", "")) for row in rows]
        sales = firms.firm(ent).sales[-24:]
        order = sorted(range(24), key=lambda month, sales=sales: sales[month])  # type: ignore[misc]
        high += sum(uses[month] for month in order[-8:])
        low += sum(uses[month] for month in order[:8])
        for row in rows:
            peak, valley, whole = (int(str(row[n]).replace(".", "")) for n in ("usage_peak", "usage_valley", "usage"))
            assert peak + valley <= whole
            assert row["overdue_amount"] in ("0.00", row["amount_due"])
    assert high > low * 11 // 10


def test_arrears_agree_with_what_was_not_paid() -> None:
    for ent in SOME:
        arrears = rows_of("social_insurance.si_arrears", ent, TODAY)
        paid = rows_of("social_insurance.si_contributions", ent, TODAY)
        if arrears is None or paid is None:
            continue
        months = {row["period"] for row in paid if row["unit_paid"] == "0.00" and row["is_late"]}
        assert arrears[0]["arrears_months"] == len(months)


def test_scenarios_are_what_they_say() -> None:
    by_key = {scenario.key: scenario.ent for scenario in firms.SCENARIOS}
    for _, dataset in DATASETS:
        assert rows_of(dataset, by_key["good"], TODAY) is not None
    assert rows_of("tax.tax_arrears", by_key["good"], TODAY) == ()
    assert rows_of("tax.tax_arrears", by_key["arrears"], TODAY)
    power = rows_of("electricity.electricity_usage", by_key["arrears"], TODAY)
    assert power is not None
    assert power[-1]["overdue_days"] != 0
    assert firms.down_for(by_key["water_down"]) == {"water.water_usage"}
    assert rows_of("social_insurance.si_enrolment", by_key["thin"], TODAY) is None
    assert sum(1 for ent in range(1, firms.FIRMS + 1) if rows_of("gas.gas_usage", ent, TODAY) is None) > 300
