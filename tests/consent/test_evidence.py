"""Evidence: the law's list of kinds and members is the journal's, member for member."""

from typing import Any

import msgspec
import pytest

from consent.evidence import MEMBERS, Kind
from node.journal import leaf

LEAVES = {kind.value: struct for struct in leaf.Leaf.__subclasses__() for kind in [Kind(struct.__struct_config__.tag)]}
COMMON = {"v", "ts", "org", "sub", "seq", "d"}
HEAD = leaf.Head(1_800_000_000_000, "bank-alpha", "0" * 32, 3, "ab" * 32)
ITEMS = ("tax.vat_invoice_summary:read:2024-11/2026-10:1fff",)


def sample(kind: Kind) -> dict[str, Any]:
    """Public members of a kind, each with a value of its sort."""
    numbers = {"ver": 1, "nb": 1, "na": 2, "max": 3, "exp": 4, "n": 5}
    return {name: ITEMS if name == "items" else numbers.get(name, "7") for name in MEMBERS[kind]}


def test_the_law_and_the_journal_know_the_same_kinds() -> None:
    assert set(LEAVES) == {kind.value for kind in Kind} == {kind.value for kind in MEMBERS}
    assert len(LEAVES) == 13


@pytest.mark.parametrize("kind", list(Kind))
def test_the_members_of_a_kind_are_those_of_its_leaf(kind: Kind) -> None:
    members = {each.encode_name for each in msgspec.structs.fields(LEAVES[kind])} - COMMON
    assert set(MEMBERS[kind]) == members and len(MEMBERS[kind]) == len(members)


@pytest.mark.parametrize("kind", list(Kind))
def test_a_leaf_of_each_kind_is_written_and_read_back(kind: Kind) -> None:
    data = leaf.encode(kind, HEAD, sample(kind))
    read = leaf.parse(data)
    assert leaf.kind_of(read) == kind and {name: getattr(read, name) for name in MEMBERS[kind] if name != "items"} == {
        name: value for name, value in sample(kind).items() if name != "items"
    }


@pytest.mark.parametrize("kind", list(Kind))
def test_a_member_too_few_or_too_many_is_no_leaf(kind: Kind) -> None:
    whole = sample(kind)
    for name in whole:
        with pytest.raises(leaf.LeafRefused):
            leaf.encode(kind, HEAD, {key: value for key, value in whole.items() if key != name})
    for extra in ("enterprise", "name", "ts", "kind"):
        with pytest.raises(leaf.LeafRefused):
            leaf.encode(kind, HEAD, whole | {extra: "x"})


def test_a_public_member_cannot_hold_a_name_in_chinese() -> None:
    with pytest.raises(leaf.LeafRefused):
        leaf.encode(Kind.REJECT, HEAD, {"purpose": "LOAN_APPLICATION", "why": "不同意"})


def test_no_kind_has_a_member_for_who_or_what_it_is_about() -> None:
    telling = {"uscc", "enterprise", "name", "signatory", "mobile", "signature", "document", "records", "data"}
    assert not telling & {name for members in MEMBERS.values() for name in members}
