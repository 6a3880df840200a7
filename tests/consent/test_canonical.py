"""Canonical bytes: RFC 8785, less the floats that no law here needs."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent.canonical import MAX_SAFE_INTEGER, canonical, digest, tagged_digest

VECTORS = json.loads(Path(__file__).parents[1].joinpath("vectors/canonical.json").read_text())["cases"]
SCALAR = st.characters(exclude_categories=["Cs"])
TEXT = st.text(SCALAR, max_size=12)
INTEGERS = st.integers(-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | INTEGERS | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("case", VECTORS, ids=[case["name"] for case in VECTORS])
def test_the_published_vectors_hold(case: dict[str, str]) -> None:
    assert canonical(json.loads(case["input"])).hex() == case["canonical_hex"]


@given(VALUES)
@settings(deadline=None, max_examples=200)
def test_reading_the_bytes_gives_the_value_back_and_the_same_bytes_again(value: Any) -> None:
    data = canonical(value)
    read = json.loads(data)
    assert read == value and canonical(read) == data


@given(st.dictionaries(TEXT, INTEGERS, min_size=2, max_size=6), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=150)
def test_the_order_in_which_members_were_set_does_not_matter(value: dict[str, int], chance: Any) -> None:
    names = list(value)
    chance.shuffle(names)
    assert canonical({name: value[name] for name in names}) == canonical(value)


@given(st.sets(TEXT, min_size=2, max_size=6))
@settings(deadline=None, max_examples=150)
def test_members_are_ordered_by_utf16_code_units(names: set[str]) -> None:
    written = list(json.loads(canonical(dict.fromkeys(names, 0))))
    assert written == sorted(names, key=lambda name: name.encode("utf-16-be"))


def test_a_plane_1_character_sorts_before_the_private_use_area() -> None:
    # By code point it would be the other way round: U+1F600 is above U+FB33, its first unit D83D below.
    assert list(json.loads(canonical({"\ufb33": 1, "\U0001f600": 2}))) == ["\U0001f600", "\ufb33"]


@pytest.mark.parametrize("value", [1.0, 0.0, -0.5, float("nan"), float("inf"), {"a": [1.5]}, [{"b": 2.0}]])
def test_floats_have_no_canonical_form(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical(value)


@pytest.mark.parametrize("value", [b"bytes", {1, 2}, object(), 1j, {1: "a"}, {None: 1}, {("a",): 1}, {"a": b""}])
def test_other_types_have_no_canonical_form(value: Any) -> None:
    with pytest.raises(TypeError):
        canonical(value)


@pytest.mark.parametrize("half", [0xD800, 0xDBFF, 0xDC00, 0xDFFF])
def test_lone_surrogates_are_refused_wherever_they_stand(half: int) -> None:
    for value in (chr(half), f"a{chr(half)}z", {chr(half): 1}, [chr(0xDE00) + chr(0xD83D)], {"a": {"b": [chr(half)]}}):
        with pytest.raises(ValueError):
            canonical(value)


@pytest.mark.parametrize("value", [2**53, -(2**53), 2**64, -(10**30)])
def test_integers_that_other_readers_would_round_are_refused(value: int) -> None:
    with pytest.raises(ValueError):
        canonical({"n": [value]})


def test_the_greatest_safe_integers_are_written_out() -> None:
    assert canonical([2**53 - 1, 1 - 2**53]) == b"[9007199254740991,-9007199254740991]"


def test_true_is_not_one_and_tuples_are_lists() -> None:
    assert canonical([True, 1, False, 0]) == b"[true,1,false,0]"
    assert canonical(("a", ("b",))) == canonical(["a", ["b"]])


def test_a_digest_is_the_sha256_of_the_bytes() -> None:
    value = {"授权": ["用途", 1]}
    assert digest(value) == hashlib.sha256('{"授权":["用途",1]}'.encode()).hexdigest()


def test_a_tag_keeps_kinds_of_signed_bytes_apart() -> None:
    assert tagged_digest("xyd-consent-v1", b"abc") == hashlib.sha256(b"xyd-consent-v1\nabc").digest()
    assert tagged_digest("a", b"b\nc") != tagged_digest("b", b"b\nc")
    with pytest.raises(UnicodeEncodeError):
        tagged_digest("标", b"")
