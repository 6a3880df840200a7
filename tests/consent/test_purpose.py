"""Purpose templates: each bound is refused by name, none goes beyond the catalogue, and their hashes are frozen."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.canonical import digest
from consent.errors import Invalid, OverBound
from consent.period import Period, month_of
from consent.purpose import CODES, DatasetBound, Template, _dataset_bound, template, templates
from consent.scope import Scope, ScopeItem
from tests.consent.agreed import CATALOGUE, NOW, POWER, VAT, item

VECTORS = json.loads(Path(__file__).parents[1].joinpath("vectors/purposes.json").read_text())
LOAN = template("LOAN_APPLICATION", CATALOGUE)
ONE_OFF = template("ONE_OFF_CHECK", CATALOGUE)
BOUNDS = [(each.code, name) for each in templates(CATALOGUE).values() for name in each.datasets]


def widest(found: Template, dataset: str, now: datetime = NOW) -> ScopeItem:
    """The most a template opens of a dataset at an instant."""
    bound = found.datasets[dataset]
    this_month = month_of(now)
    period = Period(this_month.shift(-bound.lookback_months), this_month)
    return ScopeItem(dataset, bound.forms[0], tuple(sorted(bound.fields)), period)


def refused(found: Template, *items: ScopeItem, days: int = 1, queries: int = 1) -> dict[str, Any]:
    """What the refusal says."""
    with pytest.raises(OverBound) as over:
        found.check(Scope.of(items), days=days, queries=queries, now=NOW)
    assert over.value.code == "policy.limit_exceeded"
    return over.value.extra


@pytest.mark.parametrize("code", CODES)
def test_the_hash_of_a_template_is_frozen(code: str) -> None:
    found = template(code, CATALOGUE)
    frozen = VECTORS["templates"][code]
    assert (found.version, found.sha256) == (frozen["version"], frozen["sha256"])
    assert CATALOGUE.version == VECTORS["catalogue"]


def test_the_hash_covers_every_bound() -> None:
    bounds = {name: [list(b.forms), list(b.fields), b.lookback_months] for name, b in ONE_OFF.datasets.items()}
    plain = {name: getattr(ONE_OFF, name) for name in Template.__slots__ if name not in ("datasets", "sha256")}
    whole = {**plain, "catalogue": CATALOGUE.version, "datasets": bounds}
    assert digest(whole) == ONE_OFF.sha256
    for name in plain:
        assert digest(whole | {name: "other"}) != ONE_OFF.sha256


@pytest.mark.parametrize(("code", "dataset"), BOUNDS)
def test_no_template_goes_beyond_the_catalogue(code: str, dataset: str) -> None:
    bound, entry = template(code, CATALOGUE).datasets[dataset], CATALOGUE.item(dataset)
    assert "consent" in entry.channels
    assert set(bound.forms) <= set(entry.forms) and bound.forms
    assert set(bound.fields) <= set(entry.field_names) and bound.fields
    assert 1 <= bound.lookback_months <= max(entry.history_months, 1)


@pytest.mark.parametrize(("code", "dataset"), BOUNDS)
def test_no_template_opens_a_personal_field(code: str, dataset: str) -> None:
    personal = {field.name for field in CATALOGUE.item(dataset).fields if field.personal}
    assert not personal & set(template(code, CATALOGUE).datasets[dataset].fields)


@pytest.mark.parametrize("code", CODES)
def test_a_template_says_what_the_person_must_know(code: str) -> None:
    found = template(code, CATALOGUE)
    assert found.code == code and found.label and found.label_en and found.statement and found.refusal
    assert 1 <= found.default_days <= found.max_days <= 365
    assert found.max_queries >= 1 and found.retention_days >= 1
    assert (found.fetch == "ONETIME") is (code != "POST_LOAN")


@pytest.mark.parametrize("code", ["", "loan_application", "MARKETING", "../LOAN_APPLICATION"])
def test_an_unknown_purpose_is_invalid(code: str) -> None:
    with pytest.raises(Invalid):
        template(code, CATALOGUE)


@pytest.mark.parametrize(("code", "dataset"), BOUNDS)
def test_the_bounds_themselves_are_allowed(code: str, dataset: str) -> None:
    found = template(code, CATALOGUE)
    whole = Scope.of([widest(found, dataset)])
    found.check(whole, days=found.max_days, queries=found.max_queries, now=NOW)


def test_nothing_asked_is_invalid() -> None:
    with pytest.raises(Invalid):
        LOAN.check(Scope(()), days=1, queries=1, now=NOW)


def test_one_day_or_query_more_is_refused_naming_limit_max_and_asked() -> None:
    one = widest(LOAN, VAT)
    assert refused(LOAN, one, days=91) == {"limit": "validity_days", "max": 90, "asked": 91}
    assert refused(LOAN, one, queries=4) == {"limit": "max_queries", "max": 3, "asked": 4}


def test_a_dataset_the_purpose_does_not_name_is_refused() -> None:
    assert refused(ONE_OFF, widest(LOAN, VAT)) == {"limit": "dataset", "asked": VAT}


def test_a_form_the_purpose_does_not_name_is_refused() -> None:
    arrears = widest(ONE_OFF, "tax.tax_arrears")
    extra = refused(ONE_OFF, replace(arrears, form="model"))
    assert extra == {"limit": "tax.tax_arrears.form", "max": "read", "asked": "model"}


def test_a_field_the_purpose_leaves_out_is_refused_by_name() -> None:
    registration = "registration.basic_registration"
    one = widest(LOAN, registration)
    for field in ("legal_rep_name", "former_names"):
        assert field in CATALOGUE.item(registration).bits
        extra = refused(LOAN, replace(one, fields=tuple(sorted((*one.fields, field)))))
        assert extra == {"limit": f"{registration}.{field}"}


@pytest.mark.parametrize(("code", "dataset"), BOUNDS)
def test_one_month_further_back_is_refused(code: str, dataset: str) -> None:
    found = template(code, CATALOGUE)
    one, most = widest(found, dataset), found.datasets[dataset].lookback_months
    longer = replace(one, period=Period(one.period.first.shift(-1), one.period.last))
    assert refused(found, longer) == {"limit": f"{dataset}.lookback_months", "max": most, "asked": most + 1}


def test_next_month_cannot_be_asked_for_and_this_one_can() -> None:
    one = widest(LOAN, VAT)
    future = replace(one, period=Period(one.period.first, one.period.last.shift(1)))
    assert refused(LOAN, future) == {"limit": f"{VAT}.period"}
    new_year = datetime(2026, 12, 31, 16, tzinfo=UTC)  # midnight in China, where departments count
    LOAN.check(Scope.of([widest(LOAN, VAT, new_year)]), days=1, queries=1, now=new_year)
    with pytest.raises(OverBound):
        LOAN.check(Scope.of([widest(LOAN, VAT, new_year)]), days=1, queries=1, now=new_year - timedelta(seconds=1))


def test_one_bad_item_among_good_ones_is_found() -> None:
    good = [widest(LOAN, name) for name in LOAN.datasets if name != POWER]
    assert refused(LOAN, *good, item(POWER, months="2010-01/2010-02"))["limit"] == f"{POWER}.lookback_months"


@given(
    st.integers(1, 400),
    st.integers(1, 80),
    st.integers(0, 60),
    st.integers(-60, 3),
    st.sampled_from(("read", "model", "verify")),
)
@settings(deadline=None, max_examples=150)
def test_exactly_what_lies_within_every_bound_passes(days: int, queries: int, back: int, last: int, form: Any) -> None:
    this_month = month_of(NOW)
    first, end = sorted((this_month.shift(-back), this_month.shift(last)))
    asked = ScopeItem(VAT, form, ("period", "tax_amount"), Period(first, end))
    allowed = days <= 90 and queries <= 3 and form != "verify" and first >= this_month.shift(-24) and end <= this_month
    if allowed:
        LOAN.check(Scope.of([asked]), days=days, queries=queries, now=NOW)
    else:
        assert "limit" in refused(LOAN, asked, days=days, queries=queries)


def test_a_consent_given_for_days_ends_that_many_days_later() -> None:
    assert LOAN.end(30, NOW) == NOW + timedelta(days=30)


ENTRY = {"forms": ["read", "model"], "lookback_months": 24}


def test_a_template_entry_becomes_a_bound_without_personal_fields() -> None:
    bound = _dataset_bound("T", VAT, ENTRY, CATALOGUE)
    assert isinstance(bound, DatasetBound) and bound.lookback_months == 24
    assert "uscc" not in _dataset_bound("T", VAT, {**ENTRY, "without": ["uscc"]}, CATALOGUE).fields


@pytest.mark.parametrize(
    ("dataset", "entry"),
    [
        ("tax.nothing", ENTRY),
        *((item.name, ENTRY) for item in CATALOGUE.items.values() if "consent" not in item.channels),
        (VAT, {**ENTRY, "forms": ["read", "verify"]}),
        (VAT, {**ENTRY, "forms": ["sell"]}),
        (VAT, {**ENTRY, "lookback_months": 1 + CATALOGUE.item(VAT).history_months}),
        (VAT, {**ENTRY, "without": ["no_such_field"]}),
    ],
)
def test_a_template_entry_beyond_the_catalogue_stops_the_node(dataset: str, entry: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"T: "):
        _dataset_bound("T", dataset, entry, CATALOGUE)


def test_a_bound_never_opens_a_personal_field_whatever_the_template_forgets() -> None:
    personal = [
        one for one in CATALOGUE.items.values() if "consent" in one.channels and any(f.personal for f in one.fields)
    ]
    assert personal
    for entry in personal:
        form = entry.forms[0]
        bound = _dataset_bound("T", entry.name, {"forms": [form], "lookback_months": 1}, CATALOGUE)
        assert bound.fields == tuple(field.name for field in entry.fields if not field.personal)
