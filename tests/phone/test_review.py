"""The review's decisions: what is offered, what a form may choose, what is drawn up."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from consent import catalogue as catalogues
from consent.errors import OverBound
from node.clock import from_ms
from node.flows.phone.review import Choice, ChoiceRefused, Parties, choose, draft, periods, review
from tests.phone.samples import NOW, OPTIONAL, REQUIRED, acting, ask, asked, bank, numbers, rules

FORM = {"days": ["30"], "declare": ["yes"]}


def parties() -> Parties:
    return Parties(acting(), bank(), "node.jiangzhou.example", catalogues.load())


def test_optional_items_are_off_until_switched_on() -> None:
    page = review(ask(), bank(), rules(), now=NOW)
    assert [item.dataset for item in page.required] == sorted(REQUIRED)
    assert [item.dataset for item in page.optional] == sorted(OPTIONAL)
    assert page.ticked == frozenset()
    assert choose(FORM, asked(), now=NOW) == Choice(frozenset(OPTIONAL), 30)


def test_an_optional_item_is_given_when_it_is_switched_on() -> None:
    chosen = choose(FORM | {"optional": [OPTIONAL[0]]}, asked(), now=NOW)
    assert chosen.dropped == {OPTIONAL[1]}


def test_periods_end_on_stated_days_and_never_exceed_what_was_asked() -> None:
    shown = periods(asked(), NOW)
    assert [each.days for each in shown] == [30, 60, 90]
    assert [each.end for each in shown] == [NOW + timedelta(days=days) for days in (30, 60, 90)]


def test_an_instant_named_by_the_bank_caps_every_period() -> None:
    limit = NOW + timedelta(days=40)
    assert [each.end for each in periods(asked(not_after=limit), NOW)] == [NOW + timedelta(days=30), limit, limit]


def test_the_shortest_request_offers_one_period() -> None:
    assert [each.days for each in periods(asked(days_asked=1), NOW)] == [1]


def test_the_review_suggests_the_templates_own_period() -> None:
    page = review(ask(), bank(), rules(), now=NOW)
    assert page.days == page.asked.template.default_days


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"days": ["30"]}, "error.declare"),
        ({"days": ["30"], "declare": ["no"]}, "error.declare"),
        ({"days": ["30"], "declare": ["yes", "yes"]}, "error.declare"),
        ({"days": ["91"], "declare": ["yes"]}, "error.period"),
        ({"days": ["045"], "declare": ["yes"]}, "error.period"),
        ({"days": ["³⁰"], "declare": ["yes"]}, "error.period"),
        ({"declare": ["yes"]}, "error.period"),
        (FORM | {"optional": [REQUIRED[0]]}, "error.optional"),
        (FORM | {"optional": ["judicial.judgments"]}, "error.optional"),
    ],
)
def test_an_incomplete_or_forged_form_is_refused(form: dict[str, list[str]], error: str) -> None:
    with pytest.raises(ChoiceRefused) as refused:
        choose(form, asked(), now=NOW)
    assert refused.value.errors == (error,)


def test_every_reason_is_named_at_once_and_ticks_are_kept() -> None:
    with pytest.raises(ChoiceRefused) as refused:
        choose({"optional": [OPTIONAL[1]]}, asked(), now=NOW)
    assert refused.value.errors == ("error.period", "error.declare")
    page = review(ask(), bank(), rules(), now=NOW, refused=refused.value)
    assert page.ticked == {OPTIONAL[1]}


def test_the_document_says_exactly_what_the_grant_will_hold() -> None:
    drawn = draft(asked(), Choice(frozenset({OPTIONAL[0]}), 60), parties(), numbers(), now=NOW.replace(microsecond=9))
    document = json.loads(drawn.text)
    assert [item["dataset"] for item in document["items"]] == list(drawn.terms.scope.datasets)
    assert OPTIONAL[0] not in drawn.terms.scope.datasets
    assert document["valid_from"] == from_ms(drawn.terms.not_before_ms).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert document["valid_until"] == from_ms(drawn.terms.not_after_ms).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert drawn.terms.not_after_ms - drawn.terms.not_before_ms == 60 * 86_400_000
    assert document["recipient"]["name"] == bank().name
    assert document["auto_renewal"] is False


def test_a_request_that_a_new_month_pushed_over_the_bound_is_refused() -> None:
    with pytest.raises(OverBound):
        draft(asked(), Choice(frozenset(OPTIONAL), 30), parties(), numbers(), now=NOW + timedelta(days=62))
