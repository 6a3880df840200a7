"""Tile paths and entry bundles, byte for byte (C2SP tlog-tiles)."""

import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.journal import merkle
from node.journal.errors import TileRefused
from node.journal.tiles import (
    ENTRIES,
    MAX_ENTRY_BYTES,
    Address,
    addresses,
    decode_bundle,
    encode_bundle,
    number_path,
    parse_path,
)
from tests.journal.sample import serve

VECTOR = json.loads((Path(__file__).parent.parent / "vectors" / "merkle_entries.json").read_text())


def test_vectors_of_seventy_thousand_entries() -> None:
    files = serve([b"entry-%d" % n for n in range(VECTOR["size"])])
    for path, digest in VECTOR["sha256"].items():
        assert sha256(files[path]).hexdigest() == digest
    assert files["tile/entries/000"].hex().startswith(VECTOR["bundle_starts"])
    for level, (full, width) in VECTOR["full_and_partial"].items():
        expected = [Address(ENTRIES if level == "entries" else int(level), n).path for n in range(full)]
        expected.append(f"tile/{level}/{full:03d}.p/{width}")
        assert [path for path in files if path.startswith(f"tile/{level}/")] == expected
    root = bytes.fromhex(VECTOR["roots"]["70000"])
    assert (
        merkle.root([merkle.leaf_hash(e) for p, d in files.items() if "entries" in p for e in decode_bundle(d)]) == root
    )


def test_numbers_in_paths() -> None:
    for number, path in VECTOR["paths"].items():
        assert number_path(int(number)) == path
        assert parse_path(f"tile/3/{path}") == Address(3, int(number))
        assert parse_path(f"tile/entries/{path}.p/17") == Address(ENTRIES, int(number), 17)


@given(st.integers(-1, 63), st.integers(0, 10**18), st.integers(1, 256))
def test_paths_are_read_back(level: int, n: int, width: int) -> None:
    assert parse_path(Address(level, n, width).path) == Address(level, n, width)


@pytest.mark.parametrize(
    "path",
    [
        "", "checkpoint", "tile/0", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/00/000", "tile/64/000", "tile/-1/000",
        "tile/0/x000/001", "tile/0/001/x000", "tile/0/x1/000", "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01",
        "tile/0/000.p/999", "tile/0/000.p", "tile/0/000/", "/tile/0/000", "tile/0/000\n", "tile/entries/../0/000",
        "tile/0/٠٠٠", "tile/data/000", "tile/0/000.p/-1", "tile/0/000.p/1 ", "TILE/0/000",
    ],
)  # fmt: skip
def test_other_spellings_are_refused(path: str) -> None:
    with pytest.raises(TileRefused):
        parse_path(path)


def test_addresses_of_a_tree() -> None:
    assert list(addresses(0)) == []
    assert [a.path for a in addresses(1)] == ["tile/entries/000.p/1", "tile/0/000.p/1"]
    assert [a.path for a in addresses(256)] == ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]
    assert [a.path for a in addresses(257)][-3:] == ["tile/0/000", "tile/0/001.p/1", "tile/1/000.p/1"]


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_bundles_are_read_back(entries: list[bytes]) -> None:
    assert decode_bundle(encode_bundle(entries)) == entries


def test_the_longest_entry_fits_and_a_longer_one_does_not() -> None:
    longest = b"x" * MAX_ENTRY_BYTES
    assert decode_bundle(encode_bundle([longest])) == [longest]
    with pytest.raises(TileRefused):
        encode_bundle([longest + b"x"])


def test_malformed_bundles_are_refused() -> None:
    good = encode_bundle([b"one", b"two"])
    for bad in (b"", good[:-1], good + b"\x00", good + b"\x00\x05abcd", b"\x00", b"\x00\x00" * 257):
        with pytest.raises(TileRefused):
            decode_bundle(bad)
    for entries in ([], [b""] * 257):
        with pytest.raises(TileRefused):
            encode_bundle(entries)
