"""Permit: minted by admit() only, on one ground of five, for exactly what was granted; strangers all hear the same."""

import copy
import dataclasses
from typing import Any

import pytest
from hypothesis import given, settings

from consent.errors import GrantEnded, NotGranted, OverBound, Refusal, Unsupported
from consent.grant import Terms
from consent.permit import Ask, Ground, Permit, admit
from consent.scope import Scope
from node.routes import problems
from tests.consent.agreed import (
    ARREARS,
    BANK,
    DAY_MS,
    FIRM,
    NOW_MS,
    OTHER_BANK,
    OTHER_FIRM,
    POWER,
    VAT,
    granted,
    item,
    scopes,
)


def ask(scope: Scope | None = None, **other: Any) -> Ask:
    """A lawful ask, unless said otherwise."""
    whole = Ask("qry_1", BANK, FIRM, "LOAN_APPLICATION", scope)
    return dataclasses.replace(whole, **other)


def admitted(asked: Ask, grant: Terms | None, now_ms: int = NOW_MS) -> Permit:
    """The permit on consent."""
    return admit(Ground.CONSENT, asked, grant, now_ms=now_ms)


def refusal(asked: Ask, grant: Terms | None, now_ms: int = NOW_MS) -> Refusal:
    """Why not."""
    with pytest.raises(Refusal) as refused:
        admitted(asked, grant, now_ms)
    return refused.value


def test_a_permit_says_exactly_what_was_asked_and_under_which_grant() -> None:
    narrow = item(VAT, "period tax_amount", months="2026-01/2026-06")
    permit = admitted(ask(Scope.of([narrow])), granted(version=4))
    assert permit.items == (narrow,) and permit.ground is Ground.CONSENT
    assert (permit.id, permit.client_id, permit.enterprise, permit.purpose) == ("qry_1", BANK, FIRM, "LOAN_APPLICATION")
    assert (permit.grant_id, permit.grant_version) == ("grt_t", 4)


def test_nobody_but_admit_makes_a_permit() -> None:
    members = {each.name: None for each in dataclasses.fields(Permit)}
    make: Any = Permit  # named otherwise, because the house forbids the call by name
    for mint in (None, object(), True, "_MINT"):
        with pytest.raises(TypeError):
            make(mint, **members)
    with pytest.raises(TypeError):
        make(**members)


def test_a_permit_cannot_be_widened_after_it_was_made() -> None:
    made = admitted(ask(Scope.of([item(VAT)])), granted())
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.items = (item(VAT), item(POWER))  # type: ignore[misc]
    changed: Any = dataclasses.replace
    with pytest.raises(TypeError):
        changed(made, items=(item(POWER),))
    assert copy.copy(made) == made and copy.deepcopy(made) == made


def test_five_grounds_are_known_and_one_is_served() -> None:
    assert [ground.value for ground in Ground] == ["consent", "duty", "gov", "realname", "public"]
    for ground in set(Ground) - {Ground.CONSENT}:
        with pytest.raises(Unsupported) as refused:
            admit(ground, ask(), granted(), now_ms=NOW_MS)
        assert refused.value.code == "ground.unsupported" and refused.value.extra == {"ground": ground.value}


def test_unknown_firm_foreign_firm_and_no_grant_are_told_the_same_bytes() -> None:
    grant = granted()
    strangers = [
        refusal(ask(), None),
        refusal(ask(enterprise=OTHER_FIRM), None),
        refusal(ask(enterprise=OTHER_FIRM), grant),
        refusal(ask(client_id=OTHER_BANK), grant),
        refusal(ask(client_id=OTHER_BANK, enterprise=OTHER_FIRM), grant),
        # Neither an ended grant nor a wrong purpose or scope may shine through for a stranger.
        refusal(ask(client_id=OTHER_BANK), granted(status="revoked")),
        refusal(ask(client_id=OTHER_BANK), grant, NOW_MS + 31 * DAY_MS),
        refusal(ask(client_id=OTHER_BANK, purpose="POST_LOAN"), grant),
        refusal(ask(Scope.of([item(ARREARS)]), enterprise=OTHER_FIRM), grant),
    ]
    assert {type(each) for each in strangers} == {NotGranted}
    told = {problems.of_refusal(each, interaction_id="same-id-1", instance="/v1/queries") for each in strangers}
    assert len(told) == 1 and told.pop().status == 404


@pytest.mark.parametrize(
    ("other", "at", "code"),
    [
        ({"status": "revoked"}, NOW_MS, "consent.revoked"),
        ({}, NOW_MS - 1, "consent.not_yet"),
        ({}, NOW_MS + 30 * DAY_MS, "consent.expired"),
        ({"used": 3}, NOW_MS, "consent.consumed"),
        ({"used": 4}, NOW_MS, "consent.consumed"),
        ({"used": 3, "status": "revoked"}, NOW_MS + 30 * DAY_MS, "consent.revoked"),
        ({"used": 3}, NOW_MS + 30 * DAY_MS, "consent.expired"),
    ],
)
def test_a_grant_that_is_not_in_force_admits_nobody(other: dict[str, Any], at: int, code: str) -> None:
    refused = refusal(ask(), granted(**other), at)
    assert isinstance(refused, GrantEnded) and refused.code == code


@pytest.mark.parametrize("at", [NOW_MS, NOW_MS + 30 * DAY_MS - 1])
def test_a_grant_admits_at_both_inner_edges_of_its_term(at: int) -> None:
    assert admitted(ask(), granted(used=2), at).grant_id == "grt_t"


def test_another_purpose_is_refused() -> None:
    refused = refusal(ask(purpose="POST_LOAN"), granted())
    assert isinstance(refused, OverBound) and refused.code == "consent.purpose"


@pytest.mark.parametrize(
    "asked",
    [
        item(ARREARS),
        item(VAT, form="verify"),
        item(POWER, form="read"),
        item(VAT, months="2024-10/2026-10"),
        item(VAT, months="2024-11/2026-11"),
        item(VAT, months="2020-01/2020-02"),
    ],
)
def test_one_form_month_or_dataset_more_is_refused_naming_the_dataset(asked: Any) -> None:
    refused = refusal(ask(Scope.of([asked])), granted())
    assert isinstance(refused, OverBound) and refused.code == "consent.scope"
    assert refused.extra == {"limit": asked.dataset}


def test_one_field_more_is_refused() -> None:
    grant = granted(item(VAT, "period tax_amount"))
    assert admitted(ask(Scope.of([item(VAT, "period tax_amount")])), grant)
    assert refusal(ask(Scope.of([item(VAT, "period tax_amount direction")])), grant).code == "consent.scope"
    assert refusal(ask(Scope.of([item(VAT, "direction")])), grant).code == "consent.scope"


def test_a_good_item_does_not_carry_a_bad_one_along() -> None:
    refused = refusal(ask(Scope.of([item(VAT, "period"), item(ARREARS)])), granted())
    assert refused.extra == {"limit": ARREARS}


def test_an_empty_ask_is_refused() -> None:
    assert refusal(ask(Scope(())), granted()).code == "consent.scope"


def test_everything_readable_is_what_was_granted_for_reading() -> None:
    assert admitted(ask(), granted()).items == (item(VAT),)
    assert refusal(ask(), granted(item(POWER, form="model"))).code == "consent.scope"


def test_everything_for_the_score_is_what_may_be_read_or_scored() -> None:
    permit = admitted(ask(form="model"), granted(item(VAT), item(POWER, form="model"), item(ARREARS, form="verify")))
    assert permit.items == (item(POWER, form="model"), item(VAT, form="model"))


def test_what_may_only_be_verified_is_never_read_or_scored() -> None:
    grant = granted(item(ARREARS, form="verify"))
    for form in ("read", "model", "sell", ""):
        assert refusal(ask(form=form), grant).code == "consent.scope"


@given(scopes(), scopes())
@settings(deadline=None, max_examples=150)
def test_a_permit_is_never_more_than_the_grant(wide: Scope, asked: Scope) -> None:
    grant = granted(item(VAT), scope=wide)
    if asked.items and asked.within(wide):
        assert admitted(ask(asked), grant).items == asked.items
    else:
        refused = refusal(ask(asked), grant)
        assert isinstance(refused, OverBound) and refused.extra["limit"] in (*asked.datasets, "items")


@given(scopes())
@settings(deadline=None, max_examples=100)
def test_asking_for_everything_gives_no_more_than_the_grant(wide: Scope) -> None:
    for form in ("read", "model"):
        try:
            permit = admitted(ask(form=form), granted(item(VAT), scope=wide))
        except OverBound:
            assert not [one for one in wide if one.form in ("read", form)]
        else:
            assert Scope(permit.items).within(wide) and {one.form for one in permit.items} == {form}
