"""Leaves: closed kinds, one byte form, nothing else accepted."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.canonical import canonical
from consent.evidence import MEMBERS, Kind
from node.journal.errors import LeafRefused
from node.journal.leaf import (
    AnyLeaf,
    Grant,
    Head,
    Leaf,
    Release,
    check_opening,
    commitment,
    encode,
    kind_of,
    parse,
)
from tests.journal.sample import lawful_story

HEAD = Head(1_795_000_000_000, "bank-a", "ab" * 16, 3, "0" * 64)
SAMPLES: dict[str, dict[str, Any]] = {
    json.loads(entry)["kind"]: json.loads(entry) for entry in lawful_story(40).entries
}
HEAD_NAMES = {"v", "kind", "ts", "org", "sub", "seq", "d"}


def as_bytes(value: dict[str, Any]) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def members(kind: str) -> dict[str, Any]:
    return {name: value for name, value in SAMPLES[kind].items() if name not in HEAD_NAMES}


def test_the_kinds_are_those_of_the_evidence() -> None:
    """consent says what happened, the journal writes it: the two lists must be one."""
    classes = {cls.__struct_config__.tag: cls for cls in AnyLeaf.__args__}
    assert set(classes) == {kind.value for kind in Kind} == set(SAMPLES)
    common = set(Leaf.__struct_fields__)
    for kind in Kind:
        assert set(classes[kind.value].__struct_fields__) - common == set(MEMBERS[kind])


def test_the_frozen_form() -> None:
    """A leaf's bytes may never change: this one is signed in somebody's log."""
    data = encode("ABORT", HEAD, {"req": "qry_1", "why": "reaped"})
    assert data == (
        b'{"d":"' + b"0" * 64 + b'","kind":"ABORT","org":"bank-a","req":"qry_1","seq":3,'
        b'"sub":"abababababababababababababababab","ts":1795000000000,"v":1,"why":"reaped"}'
    )


@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_every_kind_is_canonical_and_read_back(kind: str) -> None:
    data = encode(kind, HEAD, members(kind))
    assert data == canonical(json.loads(data)) == as_bytes(json.loads(data))
    leaf = parse(data)
    assert kind_of(leaf) == kind
    assert (leaf.ts, leaf.org, leaf.sub, leaf.seq, leaf.d) == HEAD
    assert msgspec.to_builtins(leaf) == json.loads(data)


def test_evidence_shapes_are_taken_as_they_come() -> None:
    """consent.evidence keeps items in a tuple and kinds in an enum."""
    given_members = {**members("REL"), "items": tuple(members("REL")["items"])}
    assert encode(Kind.REL, HEAD, given_members) == encode("REL", HEAD, members("REL"))


@pytest.mark.parametrize("kind", sorted(SAMPLES))
def test_missing_unknown_and_mistyped_members_are_refused(kind: str) -> None:
    good = SAMPLES[kind]
    for name, value in good.items():
        less = {key: item for key, item in good.items() if key != name}
        wrong: list[Any] = [None, True, 1.0, {"a": 1}, [1]]
        wrong += [1, str(value)] if isinstance(value, list) else ["1"] if isinstance(value, int) else [1]
        for bad in (less, *({**good, name: other} for other in wrong)):
            with pytest.raises(LeafRefused):
                parse(as_bytes(bad))
    with pytest.raises(LeafRefused):
        parse(as_bytes({**good, "extra": ""}))
    with pytest.raises(LeafRefused):
        encode(kind, HEAD, {**members(kind), "extra": ""})
    if members(kind):
        with pytest.raises(LeafRefused):
            encode(kind, HEAD, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("v", 2), ("v", 0), ("kind", "NOPE"), ("kind", "rel"), ("ts", -1), ("ts", 2**53), ("ts", 2**70), ("org", ""),
        ("org", "é"), ("org", "a\nb"), ("org", "a\x7fb"), ("org", "a" * 513), ("org", 'a"b'), ("sub", "ab"),
        ("sub", "AB" * 16), ("sub", "ab" * 16 + "\n"), ("seq", -1), ("d", ""), ("d", "0" * 63), ("d", "G" * 64),
        ("d", "0" * 64 + "\n"), ("ver", 0), ("n", -1), ("retry_of", "01"), ("retry_of", "x"), ("retry_of", "-1"),
        ("items", ["tax.x:read:2024-11/2026-10:0"]), ("items", ["tax.x:read:2024-11/2026-10:0f"]),
        ("items", ["tax.x:read:2024-13/2026-10:f"]), ("items", ["tax.x:write:2024-11/2026-10:f"]),
        ("items", ["tax.x:read:2024-11:f"]), ("items", ["tax:read:2024-11/2026-10:f"]), ("items", [""]),
        ("items", ["tax.x:read:2024-11/2026-10:F"]), ("items", ["tax.x:read:2024-11/2026-10:f\n"]),
    ],
)  # fmt: skip
def test_forms_outside_the_schema_are_refused(name: str, value: Any) -> None:
    with pytest.raises(LeafRefused):
        parse(as_bytes({**SAMPLES["REL"], name: value}))


def test_other_spellings_of_the_same_value_are_refused() -> None:
    good = encode("ABORT", HEAD, {"req": "qry_1", "why": "reaped"})
    shuffled = json.dumps(dict(reversed(json.loads(good).items())), separators=(",", ":")).encode()
    for bad in (
        good + b"\n", b" " + good, good.replace(b":", b": "), shuffled, good.replace(b"reaped", b"\\u0072eaped"),
        good.replace(b'"seq":3', b'"seq":3.0'), good.replace(b'"seq":3', b'"seq":03'), good[:-1], b"", b"[]", b"null",
        good.replace(b'"v":1', b'"v":1,"v":1'), good.replace(b'"seq":3', b'"seq":2,"seq":3'), b"\xef\xbb\xbf" + good,
        b'{"a":' + b"[" * 30_000, b'{"a":' * 10_000, good.replace(b"reaped", b"\xff"), good + good,
        good.replace(b'"seq":3', b'"seq":3e0'),
    ):  # fmt: skip
        with pytest.raises(LeafRefused):
            parse(bad)


def test_a_member_cannot_shadow_the_head() -> None:
    for name in HEAD_NAMES:
        with pytest.raises(LeafRefused):
            encode("ABORT", HEAD, {"req": "qry_1", "why": "reaped", name: 1})


def test_no_text_hides_in_a_leaf() -> None:
    for why in ("张三", "a\\b", 'a"b', "\ud800", "a\x00"):
        with pytest.raises(LeafRefused):
            encode("ABORT", HEAD, {"req": "qry_1", "why": why})


def test_a_leaf_fits_an_entry_bundle() -> None:
    item = "tax.vat_invoice_summary:read:2024-11/2026-10:" + "f" * 64
    with pytest.raises(LeafRefused):
        encode("REL", HEAD, {**members("REL"), "items": [item] * 1000})
    with pytest.raises(LeafRefused):
        encode("REL", HEAD, {**members("REL"), "items": [item.replace("tax", "t" * 300)] * 512})


@given(st.binary(max_size=200))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(LeafRefused):
        parse(data)


def test_types_of_what_is_read() -> None:
    assert isinstance(parse(encode("GRANT", HEAD, members("GRANT"))), Grant)
    release = parse(encode("REL", HEAD, members("REL")))
    assert isinstance(release, Release) and release.items == members("REL")["items"]


def test_openings() -> None:
    salt, details = bytes(range(32)), b'{"a":1}'
    d = commitment(salt, details)
    assert d == "4f19620c461d8a7dbce184d078ae5cea8d74bdf4cb77c5b4525343a83029003e"
    check_opening(d, salt, details)
    for bad_d, bad_salt, bad_details in (
        ("0" * 64, salt, details), (d.upper(), salt, details), (d, b"\x01" + salt[1:], details), (d, salt, b'{"a":2}'),
        (d, salt[:31], b'"' + details), (d, salt + b"{", details[1:]), (d, b"", salt + details),
    ):  # fmt: skip
        with pytest.raises(LeafRefused):
            check_opening(bad_d, bad_salt, bad_details)
