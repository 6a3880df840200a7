"""The Merkle tree against RFC 6962's own definition, the frozen vectors, and every way to bend a proof."""

import json
import random
from collections.abc import Callable
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.journal import merkle
from node.journal.errors import ProofRefused

VECTORS = Path(__file__).parent.parent / "vectors"
RFC = json.loads((VECTORS / "merkle_rfc6962.json").read_text())
ENTRIES = json.loads((VECTORS / "merkle_entries.json").read_text())
LEAVES = [merkle.leaf_hash(b"%d" % n) for n in range(1001)]
READ = merkle.levels_reader(LEAVES)


def rfc_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, as written there."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + rfc_root(leaves[:k]) + rfc_root(leaves[k:])).digest()


def rfc_path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 §2.1.1, as written there."""
    if len(leaves) == 1:
        return []
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if m < k:
        return [*rfc_path(m, leaves[:k]), rfc_root(leaves[k:])]
    return [*rfc_path(m - k, leaves[k:]), rfc_root(leaves[:k])]


def rfc_subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962 §2.1.2, as written there."""
    if m == len(leaves):
        return [] if whole else [rfc_root(leaves)]
    k = 1 << (len(leaves) - 1).bit_length() - 1
    if m <= k:
        return [*rfc_subproof(m, leaves[:k], whole), rfc_root(leaves[k:])]
    return [*rfc_subproof(m - k, leaves[k:], False), rfc_root(leaves[:k])]


def hashes(hexes: list[str]) -> list[bytes]:
    return [bytes.fromhex(value) for value in hexes]


def test_rfc6962_vectors() -> None:
    leaves = [merkle.leaf_hash(bytes.fromhex(leaf)) for leaf in RFC["leaves"]]
    roots = hashes(RFC["roots"])
    read = merkle.levels_reader(leaves)
    assert [merkle.root(leaves[:n]) for n in range(9)] == roots
    assert [merkle.tree_root(n, read) for n in range(9)] == roots
    for case in RFC["inclusion"]:
        index, size, path = case["index"], case["size"], hashes(case["path"])
        assert merkle.inclusion_path(index, size, read) == path
        merkle.verify_inclusion(leaves[index], index, size, path, root=roots[size])
    for case in RFC["consistency"]:
        old, new, path = case["old"], case["new"], hashes(case["path"])
        assert merkle.consistency_path(old, new, read) == path
        merkle.verify_consistency(old, new, path, old_root=roots[old], new_root=roots[new])


def test_vectors_of_seventy_thousand_entries() -> None:
    leaves = [merkle.leaf_hash(b"entry-%d" % n) for n in range(70_000)]
    read = merkle.levels_reader(leaves)
    roots = {int(size): bytes.fromhex(value) for size, value in ENTRIES["roots"].items()}
    for size, value in roots.items():
        assert merkle.tree_root(size, read) == value
        assert merkle.root(leaves[:size]) == value
    case = ENTRIES["inclusion"]
    path = merkle.inclusion_path(case["index"], case["size"], read)
    assert (len(path), path[-1]) == (case["hashes"], roots[case["last_is_root_of"]])
    case = ENTRIES["consistency"]
    path = merkle.consistency_path(case["old"], case["new"], read)
    assert (len(path), path[-1]) == (case["hashes"], roots[case["last_is_root_of"]])
    merkle.verify_consistency(case["old"], case["new"], path, old_root=roots[case["old"]], new_root=roots[case["new"]])


def test_every_small_tree_agrees_with_the_definition() -> None:
    for size in range(1, 70):
        root = rfc_root(LEAVES[:size])
        assert merkle.tree_root(size, READ) == root
        for index in range(size):
            path = rfc_path(index, LEAVES[:size])
            assert merkle.inclusion_path(index, size, READ) == path
            merkle.verify_inclusion(LEAVES[index], index, size, path, root=root)
        for old in range(1, size + 1):
            path = rfc_subproof(old, LEAVES[:size], True)
            assert merkle.consistency_path(old, size, READ) == path
            merkle.verify_consistency(old, size, path, old_root=rfc_root(LEAVES[:old]), new_root=root)


@given(st.integers(1, 1000).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1))))
def test_trees_up_to_a_thousand_agree_with_the_definition(case: tuple[int, int]) -> None:
    size, index = case
    leaves, root = LEAVES[:size], rfc_root(LEAVES[:size])
    path = rfc_path(index, leaves)
    assert merkle.inclusion_path(index, size, READ) == path
    merkle.verify_inclusion(leaves[index], index, size, path, root=root)
    old = index + 1
    path = rfc_subproof(old, leaves, True)
    assert merkle.consistency_path(old, size, READ) == path
    merkle.verify_consistency(old, size, path, old_root=rfc_root(leaves[:old]), new_root=root)


def bent(path: list[bytes]) -> list[list[bytes]]:
    """Every single fault a path can have."""
    extra = [b"\x00" * 32]
    faults = [extra + path, path + extra]
    for i, value in enumerate(path):
        flipped = bytes([value[0] ^ 1]) + value[1:]
        faults += [[*path[:i], *path[i + 1 :]], [*path[:i], flipped, *path[i + 1 :]]]
        faults += [[*path[:i], value[:31], *path[i + 1 :]], [*path[:i], value + b"\x00", *path[i + 1 :]]]
    if len(path) > 1 and path[0] != path[-1]:
        faults.append(path[::-1])
    return faults


def refused(call: Callable[[], None]) -> None:
    with pytest.raises(ProofRefused):
        call()


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 100, 255, 256, 257, 1000])
def test_bent_inclusion_proofs_are_refused(size: int) -> None:
    root = merkle.tree_root(size, READ)
    for index in {0, 1, size // 2, size - 2, size - 1} & set(range(size)):
        path = merkle.inclusion_path(index, size, READ)
        leaf = LEAVES[index]
        for fault in bent(path):
            refused(lambda f=fault, i=index: merkle.verify_inclusion(LEAVES[i], i, size, f, root=root))  # type: ignore[misc]
        for i, n, value, top in (
            (index, size, LEAVES[-1], root),
            (index, size, leaf[:31], root),
            (index, size, leaf, root[:31]),
            (index, size, leaf, b"\x00" * 32),
            (size, size, leaf, root),
            (-1, size, leaf, root),
            (index, 0, leaf, root),
            (index ^ 1, size, leaf, root),
        ):
            refused(lambda i=i, n=n, v=value, t=top, p=path: merkle.verify_inclusion(v, i, n, p, root=t))  # type: ignore[misc]


@pytest.mark.parametrize(("old", "new"), [(1, 2), (1, 8), (2, 3), (3, 7), (6, 8), (8, 9), (255, 256), (257, 1000)])
def test_bent_consistency_proofs_are_refused(old: int, new: int) -> None:
    old_root, new_root = merkle.tree_root(old, READ), merkle.tree_root(new, READ)
    path = merkle.consistency_path(old, new, READ)

    def verify(m: int, n: int, p: list[bytes], a: bytes, b: bytes) -> None:
        refused(lambda: merkle.verify_consistency(m, n, p, old_root=a, new_root=b))

    for fault in [*bent(path), []]:
        verify(old, new, fault, old_root, new_root)
    verify(old, new, path, new_root, old_root)
    verify(new, old, path, old_root, new_root)
    verify(old + 1, new, path, old_root, new_root) if old + 1 < new else None
    verify(old, new, path, old_root[:31], new_root)
    verify(old, new, path, b"\x00" * 32, new_root)
    verify(old, new, path, old_root, b"\x00" * 32)
    verify(-1, new, path, old_root, new_root)


def test_consistency_from_nothing_and_between_equals() -> None:
    root = merkle.tree_root(5, READ)
    merkle.verify_consistency(0, 5, [], old_root=merkle.EMPTY_ROOT, new_root=root)
    merkle.verify_consistency(0, 0, [], old_root=merkle.EMPTY_ROOT, new_root=merkle.EMPTY_ROOT)
    merkle.verify_consistency(5, 5, [], old_root=root, new_root=root)
    refused(lambda: merkle.verify_consistency(0, 5, [], old_root=root, new_root=root))
    refused(lambda: merkle.verify_consistency(0, 5, [root], old_root=merkle.EMPTY_ROOT, new_root=root))
    refused(lambda: merkle.verify_consistency(0, 5, [], old_root=b"", new_root=root))
    refused(lambda: merkle.verify_consistency(0, 0, [], old_root=root, new_root=root))
    refused(lambda: merkle.verify_consistency(5, 5, [], old_root=root, new_root=merkle.EMPTY_ROOT))
    refused(lambda: merkle.verify_consistency(5, 5, [root], old_root=root, new_root=root))


def test_a_path_is_never_accepted_at_another_size_or_index() -> None:
    # Verification must bind index and size as far as the path's shape allows; a wrong pair that leads to the same root
    # would let one entry stand at two places.
    rng = random.Random(7)
    for _ in range(300):
        size = rng.randint(2, 1000)
        index = rng.randrange(size)
        path = merkle.inclusion_path(index, size, READ)
        other = rng.randrange(size)
        if other != index:
            refused(
                lambda o=other, i=index, n=size, p=path: merkle.verify_inclusion(  # type: ignore[misc]
                    LEAVES[i], o, n, p, root=merkle.tree_root(n, READ)
                )
            )


def test_a_path_is_never_accepted_under_a_size_that_needs_a_longer_or_shorter_one() -> None:
    for size in range(1, 40):
        root = merkle.tree_root(size, READ)
        for index in range(size):
            path = merkle.inclusion_path(index, size, READ)
            for other in range(index + 1, 80):
                if len(merkle.inclusion_path(index, other, READ)) != len(path):
                    refused(partial(merkle.verify_inclusion, LEAVES[index], index, other, path, root=root))


def test_hashes_cut_at_another_place_are_refused() -> None:
    """The same bytes under the hash, but one hash of 31 and one of 33 bytes."""
    left, right = LEAVES[:2]
    root = merkle.tree_root(2, READ)
    refused(lambda: merkle.verify_inclusion(left[:31], 0, 2, [left[31:] + right], root=root))
    refused(lambda: merkle.verify_inclusion(right[1:], 1, 2, [left + right[:1]], root=root))
    old, new = merkle.tree_root(1, READ), merkle.tree_root(2, READ)
    refused(lambda: merkle.verify_consistency(1, 2, [right[:31]], old_root=old + right[:1], new_root=new))


def test_a_proof_outside_the_tree_is_not_made() -> None:
    refused(lambda: void(merkle.inclusion_path(5, 5, READ)))
    refused(lambda: void(merkle.inclusion_path(-1, 5, READ)))
    refused(lambda: void(merkle.consistency_path(6, 5, READ)))
    refused(lambda: void(merkle.consistency_path(-1, 5, READ)))


def void(_: object) -> None:
    """Drops a result, so that `refused` takes calls that return one."""
