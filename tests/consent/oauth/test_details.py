"""authorization_details `urn:xyd:enterprise-data:1`: RFC 9396 §2, §5; the consent object of consent.md §5."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.canonical import digest
from consent.document import CLAUSES
from consent.enterprise import issue_fictitious
from consent.oauth.details import AskedConsent, resolve
from consent.oauth.errors import InvalidDetails, reply_of_error
from tests.consent.oauth.people import CATALOGUE, DETAILS, ENTERPRISE, NOW, RULES, Person

MINIMAL = {
    "type": "urn:xyd:enterprise-data:1",
    "subject": {"uscc": str(ENTERPRISE)},
    "purpose": {"code": "LOAN_APPLICATION"},
    "items": [{"datatype": "tax.vat_invoice_summary"}],
}


@pytest.fixture
def ask(alpha: Person) -> Any:
    def resolved(value: Any, now: datetime = NOW) -> AskedConsent:
        text = value if isinstance(value, str) else json.dumps([value], ensure_ascii=False)
        return resolve(text, alpha.view, RULES, now=now)

    return resolved


def test_only_type_subject_purpose_and_items_are_required_the_template_fills_the_rest(ask: Any) -> None:
    asked = ask(MINIMAL)
    bound = asked.template.datasets["tax.vat_invoice_summary"]
    (item,) = asked.scope
    assert (asked.enterprise, asked.template.code, asked.required) == (ENTERPRISE, "LOAN_APPLICATION", frozenset())
    assert (item.form, item.fields, str(item.period)) == ("read", tuple(sorted(bound.fields)), "2024-11/2026-10")
    assert (asked.days, asked.not_after, asked.max_queries) == (30, None, 3)
    assert asked.end(NOW) == NOW + timedelta(days=30)


def test_key_fields_are_always_added(ask: Any) -> None:
    (item,) = ask({**MINIMAL, "items": [{"datatype": "tax.vat_invoice_summary", "fields": ["tax_amount"]}]}).scope
    assert item.fields == ("direction", "period", "tax_amount", "uscc")


def test_the_full_object_resolves(ask: Any) -> None:
    full = {
        **DETAILS,
        "locations": [RULES.issuer.resource_url],
        "actions": ["query", "assess"],
        "purpose": {
            "code": "LOAN_APPLICATION", "text": "流动资金贷款", "product_id": "P-01", "product": "税易贷",
            "amount": "500000.00", "application_no": "A1",
        },
        "validity": {"days": 90},
        "use": {"fetch": "ONETIME", "max_queries": 1},
        "retention": {"days": 31, "delete_on_revoke": True},
        "onward": {"transfer": False, "sub_processing": False, "model_training": False},
        "notice": {"template": "XYD-AUTH-01", "version": "1", "sha256": digest(list(CLAUSES)), "lang": "zh-CN"},
    }  # fmt: skip
    asked = ask(full)
    assert asked.required == {"tax.vat_invoice_summary"} and asked.days == 90 and asked.max_queries == 1
    assert (asked.product, asked.amount, asked.text) == ("税易贷", "500000.00", "流动资金贷款")
    assert AskedConsent.unpack(json.loads(json.dumps(asked.pack(CATALOGUE))), CATALOGUE) == asked


def test_not_after_caps_the_consent(ask: Any) -> None:
    asked = ask({**MINIMAL, "validity": {"not_after": "2026-12-01T00:00:00+08:00"}})
    assert asked.days == 8 and asked.end(NOW) == datetime(2026, 11, 30, 16, tzinfo=UTC)


def test_pretty_printed_json_is_json(ask: Any) -> None:
    assert ask(json.dumps([MINIMAL], indent=2)).enterprise == ENTERPRISE


@pytest.mark.parametrize(
    ("change", "limit"),
    [
        ({"items": [{"datatype": "housing_fund.hf_contributions"}]}, None),
        ({"items": [{"datatype": "tax.tax_filings"}]}, "dataset"),
        ({"items": [{"datatype": "tax.vat_invoice_summary", "form": "verify"}]}, "tax.vat_invoice_summary.form"),
        (
            {"items": [{"datatype": "tax.vat_invoice_summary", "period": {"from": "2024-10"}}]},
            "tax.vat_invoice_summary.lookback_months",
        ),
        (
            {"items": [{"datatype": "tax.vat_invoice_summary", "period": {"from": "2026-01", "to": "2026-12"}}]},
            "tax.vat_invoice_summary.period",
        ),
        (
            {"items": [{"datatype": "registration.basic_registration", "fields": ["legal_rep_name"]}]},
            "registration.basic_registration.legal_rep_name",
        ),
        ({"validity": {"days": 91}}, "validity_days"),
        ({"validity": {"not_after": "2027-11-23T08:00:00Z"}}, "validity_days"),
        ({"use": {"max_queries": 4}}, "max_queries"),
        ({"use": {"fetch": "PERIODIC"}}, "use.fetch"),
        ({"retention": {"days": 3650}}, "retention"),
        ({"retention": {"delete_on_revoke": False}}, "retention"),
        ({"onward": {"transfer": True}}, "onward"),
        ({"onward": {"model_training": True}}, "onward"),
    ],
)
def test_a_request_over_a_bound_is_refused_naming_the_bound(ask: Any, change: Any, limit: str | None) -> None:
    with pytest.raises(InvalidDetails) as caught:
        ask({**MINIMAL, **change})
    body = reply_of_error(caught.value).body
    assert body is not None and body["error"] == "invalid_authorization_details"
    if limit is not None:
        assert body["limit"] == limit and limit in str(body["error_description"])


@pytest.mark.parametrize(
    "change",
    [
        {"type": "urn:other"},
        {"type": None},
        {"subject": {}},
        {"subject": {"uscc": "91000000000000019X"}},
        {"subject": {"uscc": str(ENTERPRISE), "also": str(ENTERPRISE)}},
        {"subject": [{"uscc": str(ENTERPRISE)}]},
        {"subject": {"uscc": [str(ENTERPRISE)]}},
        {"purpose": {"code": "MARKETING"}},
        {"purpose": {"code": "ONE_OFF_CHECK"}},
        {"purpose": {"code": "LOAN_APPLICATION", "why": "x"}},
        {"purpose": {"code": "LOAN_APPLICATION", "amount": "5e9"}},
        {"purpose": {"code": "LOAN_APPLICATION", "amount": 5}},
        {"purpose": {"code": "LOAN_APPLICATION", "text": "a\u202eb"}},
        {"purpose": {"code": "LOAN_APPLICATION", "product": "x" * 121}},
        {"items": []},
        {"items": [{}]},
        {"items": [{"datatype": "tax.vat_invoice_summary", "fields": []}]},
        {"items": [{"datatype": "tax.vat_invoice_summary", "fields": ["no_such_field"]}]},
        {"items": [{"datatype": "tax.vat_invoice_summary"}, {"datatype": "tax.vat_invoice_summary", "form": "model"}]},
        {"items": [{"datatype": "tax.vat_invoice_summary", "period": {"from": "2026-13"}}]},
        {"items": [{"datatype": "tax.vat_invoice_summary", "period": {"from": "2026-09", "to": "2026-01"}}]},
        {"items": [{"datatype": "tax.vat_invoice_summary", "required": "yes"}]},
        {"items": [{"datatype": "tax.vat_invoice_summary", "limit": 1}]},
        {"validity": {"days": 0}},
        {"validity": {"days": 1, "not_after": "2026-12-01T00:00:00Z"}},
        {"validity": {"not_after": "2026-12-01T00:00:00"}},
        {"validity": {"not_after": "2026-11-01T00:00:00Z"}},
        {"use": {"max_queries": 0}},
        {"use": {"max_per_day": 1}},
        {"notice": {"version": "9"}},
        {"notice": {"sha256": "0" * 64}},
        {"locations": ["https://elsewhere.example/v1"]},
        {"locations": [RULES.issuer.url + ".evil.example"]},
        {"actions": ["delete"]},
        {"unknown": 1},
        {"recipient": {"client_id": "bank-beta"}},
    ],
)
def test_rfc9396_5_unknown_malformed_or_unallowed_is_invalid_authorization_details(ask: Any, change: Any) -> None:
    with pytest.raises(InvalidDetails) as caught:
        ask({**MINIMAL, **change})
    description = str((reply_of_error(caught.value).body or {})["error_description"])
    assert "no_such_field" not in description and "MARKETING" not in description


def test_actions_must_follow_from_the_forms(ask: Any) -> None:
    model = {**MINIMAL, "items": [{"datatype": "tax.vat_invoice_summary", "form": "model"}]}
    assert ask({**model, "actions": ["assess"]}).scope.items[0].form == "model"
    with pytest.raises(InvalidDetails):
        ask({**model, "actions": ["query"]})


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", "null", "7", '"x"', "[1]", "[[]]", "not json", "[" * 3000, "[NaN]", '[{"type":Infinity}]',
        "[" + "9" * 5000 + "]",
        json.dumps([MINIMAL, MINIMAL]), json.dumps(MINIMAL), "类型",
        json.dumps([MINIMAL]).replace('"purpose"', f'"subject": {{"uscc": "{issue_fictitious(2)}"}}, "purpose"'),
    ],
)  # fmt: skip
def test_exactly_one_object_with_each_member_once(ask: Any, text: str) -> None:
    with pytest.raises(InvalidDetails):
        ask(text)


def test_the_purpose_must_be_one_the_bank_is_admitted_for(ask: Any, alpha: Person) -> None:
    alpha.row.purposes = "POST_LOAN"
    with pytest.raises(InvalidDetails) as caught:
        ask(MINIMAL)
    assert caught.value.bound == {"member": "purpose.code"}


def test_what_was_checked_is_gone_when_the_template_changed(ask: Any) -> None:
    packed = ask(MINIMAL).pack(CATALOGUE)
    for change in ({"tpl": "0" * 64}, {"purpose": "MARKETING"}):
        with pytest.raises(InvalidDetails):
            AskedConsent.unpack(packed | change, CATALOGUE)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(
    member=st.sampled_from([*MINIMAL, "validity", "use", "retention", "onward", "notice", "locations", "actions"]),
    value=JSON,
)
def test_any_json_in_any_member_resolves_or_is_invalid_authorization_details(member: str, value: Any) -> None:
    person = Person("bank-alpha")
    try:
        asked = resolve(json.dumps([{**MINIMAL, member: value}]), person.view, RULES, now=NOW)
    except InvalidDetails as error:
        refused = reply_of_error(error)
    else:
        asked.template.check(asked.scope, days=asked.days, queries=asked.max_queries, now=NOW)
        return
    assert refused.status == 400 and refused.content.isascii()
