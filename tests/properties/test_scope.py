"""The algebra of scopes: containment is a partial order, `meet` its greatest lower bound, the wire form is exact."""

from itertools import product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consent.catalogue import FORMS, Form
from consent.errors import Invalid
from consent.period import Month
from consent.scope import MAX_ITEMS, Scope, ScopeItem, decode, decode_item, form_covers
from node.journal import leaf
from tests.consent.agreed import CATALOGUE, DATASETS, VAT, item, items, scopes

QUICK = settings(deadline=None, max_examples=100)
SAME = items(VAT)


def values(scope: Scope) -> set[tuple[str, str, str, int]]:
    """Every single value a scope opens: dataset, form in which it may be used, field, month."""
    return {
        (each.dataset, form, name, month)
        for each in scope
        for form in FORMS
        if form_covers(each.form, form)
        for name in each.fields
        for month in range(each.period.first.ordinal, each.period.last.ordinal + 1)
    }


@pytest.mark.parametrize(("granted", "asked"), list(product(FORMS, FORMS)))
def test_reading_covers_scoring_and_nothing_else_covers_anything_but_itself(granted: Form, asked: Form) -> None:
    assert form_covers(granted, asked) is ((granted, asked) in {(f, f) for f in FORMS} | {("read", "model")})


@given(scopes())
@QUICK
def test_containment_is_reflexive(scope: Scope) -> None:
    assert scope.within(scope) and scope.meet(scope) == scope


@given(scopes(), scopes())
@QUICK
def test_containment_is_antisymmetric(one: Scope, other: Scope) -> None:
    assert (one.within(other) and other.within(one)) is (one == other)


@given(scopes(), scopes(), scopes())
@QUICK
def test_containment_is_transitive(one: Scope, two: Scope, three: Scope) -> None:
    low, middle = one.meet(two).meet(three), two.meet(three)
    assert low.within(middle) and middle.within(three) and low.within(three)
    assert not (one.within(two) and two.within(three)) or one.within(three)


@given(scopes(), scopes())
@QUICK
def test_containment_is_about_single_values(one: Scope, other: Scope) -> None:
    assert one.within(other) is (values(one) <= values(other))


@given(scopes(), scopes())
@QUICK
def test_the_meet_opens_exactly_what_both_open(one: Scope, other: Scope) -> None:
    meet = one.meet(other)
    assert values(meet) == values(one) & values(other)
    assert meet == other.meet(one) and meet.within(one) and meet.within(other)


@given(scopes(), scopes(), scopes())
@QUICK
def test_no_lower_bound_is_greater_than_the_meet(low: Scope, one: Scope, other: Scope) -> None:
    below = low.meet(one).meet(other)
    for candidate in (low, below):
        assert (candidate.within(one) and candidate.within(other)) is candidate.within(one.meet(other))


@given(scopes(), scopes(), scopes())
@QUICK
def test_the_meet_is_associative(one: Scope, two: Scope, three: Scope) -> None:
    assert one.meet(two).meet(three) == one.meet(two.meet(three))


@given(SAME, SAME)
@QUICK
def test_items_of_one_dataset_obey_the_same_law(one: ScopeItem, other: ScopeItem) -> None:
    meet = one.meet(other)
    assert (meet == one) is one.within(other)
    assert meet is None or (meet.within(one) and meet.within(other))


@given(scopes(), st.sets(st.sampled_from(DATASETS)))
@QUICK
def test_unticking_removes_whole_datasets_and_nothing_else(scope: Scope, gone: set[str]) -> None:
    kept = scope.without(frozenset(gone))
    assert set(kept.datasets) == set(scope.datasets) - gone and kept.within(scope)
    assert all(kept.by_dataset[name] == scope.by_dataset[name] for name in kept.datasets)


@given(scopes())
@QUICK
def test_the_journals_form_reads_back_and_fits_the_leaf(scope: Scope) -> None:
    encoded = scope.encode(CATALOGUE)
    assert decode(encoded, CATALOGUE) == scope
    head = leaf.Head(1, "bank", "", 0, "0" * 64)
    if encoded:
        public = {"req": "q", "grant": "g", "ver": 1, "purpose": "P", "items": encoded, "ground": "consent"}
        leaf.encode("REQ", head, public)


def test_the_journals_form_is_frozen() -> None:
    whole = item(VAT)
    bits = len(CATALOGUE.item(VAT).fields)
    assert whole.encode(CATALOGUE) == f"{VAT}:read:2024-11/2026-10:{(1 << bits) - 1:x}"
    first = CATALOGUE.item(VAT).field_names[0]
    assert item(VAT, first, "model").encode(CATALOGUE) == f"{VAT}:model:2024-11/2026-10:1"


GOOD = f"{VAT}:read:2024-11/2026-10:3"


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", ":::", GOOD + ":", GOOD.replace(":3", ""), GOOD.replace("read", "write"), GOOD.replace("read", "")),
        *(GOOD.replace(VAT, "tax.nothing"), GOOD.replace(VAT, "")),
        *(GOOD.replace("/", "-"), GOOD.replace("/2026-10", "")),
        *(GOOD.replace("2026-10", "2024-10"), GOOD.replace("2026-10", "2026-13"), GOOD.replace(":3", ":0")),
        *(GOOD[:-1] + mask for mask in ("", "-1", "-0", "g", "0x3", "03", "+3", " 3", "1_3", "1F", "٣")),
        *(GOOD.replace(":3", ":" + "f" * 40), GOOD.replace(":3", ":3\n"), GOOD.upper()),
    ],
)
def test_only_the_one_spelling_of_an_item_is_read(text: str) -> None:
    assert decode_item(GOOD, CATALOGUE).encode(CATALOGUE) == GOOD
    with pytest.raises(Invalid):
        decode_item(text, CATALOGUE)


@given(st.text(max_size=60))
@example("tax.vat_invoice_summary:read:2024-11/2026-10:" + "9" * 5000)
@QUICK
def test_any_text_is_an_item_or_invalid(text: str) -> None:
    try:
        read = decode_item(text, CATALOGUE)
    except Invalid:
        return
    assert read.encode(CATALOGUE) == text


@given(items())
@QUICK
def test_a_dataset_may_be_named_once_only(one: ScopeItem) -> None:
    with pytest.raises(Invalid):
        Scope.of([one, one])
    with pytest.raises(Invalid):
        decode([one.encode(CATALOGUE)] * 2, CATALOGUE)


def test_a_scope_is_sorted_and_holds_no_more_than_the_catalogue() -> None:
    every = [item(name) for name in CATALOGUE.items]
    assert len(every) == MAX_ITEMS and Scope.of(reversed(every)) == Scope.of(every)
    with pytest.raises(Invalid):
        Scope(tuple(reversed(every)))
    more = ScopeItem("zz.more", "read", ("uscc",), every[0].period)
    with pytest.raises(Invalid):
        Scope.of([*every, more])


def test_an_empty_scope_opens_nothing_and_lies_within_all() -> None:
    empty, some = Scope(()), Scope.of([item(VAT)])
    assert empty.within(some) and not some.within(empty) and some.meet(empty) == empty and not values(empty)


def test_one_month_or_field_more_is_not_within() -> None:
    narrow = item(VAT, "period tax_amount", months="2026-01/2026-06")
    assert narrow.within(narrow)
    for wider in (
        item(VAT, "period tax_amount direction", months="2026-01/2026-06"),
        item(VAT, "period tax_amount", months="2025-12/2026-06"),
        item(VAT, "period tax_amount", months="2026-01/2026-07"),
    ):
        assert narrow.within(wider) and not wider.within(narrow)
    assert narrow.period.first == Month.parse("2026-01")
