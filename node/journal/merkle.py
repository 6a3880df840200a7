"""The Merkle tree of the journal: hashes, roots and proofs (RFC 6962 §2.1, RFC 9162 §2.1).

Pure: no clock, no store. Every hash is exactly 32 bytes (SHA-256). Proofs are made from a `NodeReader`, so the same
code serves a list of leaf hashes (`levels_reader`) and a store of tiles (`tiles.TileTree`). Growing a tree batch by
batch is `frontier.py`.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

from node.journal.errors import ProofRefused

HASH_BYTES = 32
EMPTY_ROOT = sha256(b"").digest()
MAX_PATH = 64
"""Longest path accepted: a tree of 2**63 leaves has paths of 63 hashes."""

NodeReader = Callable[[int, int], bytes]
"""`read(level, index)` gives the hash of the complete subtree over leaves index*2**level .. (index+1)*2**level - 1."""


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(0x00 || entry), 32 bytes (RFC 9162 §2.1.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right), 32 bytes (RFC 9162 §2.1.1)."""
    return sha256(b"\x01" + left + right).digest()


def hash_pairs(nodes: Sequence[bytes]) -> list[bytes]:
    """The parents of neighbours (0,1), (2,3), ...; an odd last node is left out."""
    pairs = zip(nodes[::2], nodes[1::2], strict=False)
    return [sha256(b"\x01" + left + right).digest() for left, right in pairs]


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root over leaf hashes; SHA-256 of nothing for no leaves."""
    nodes = list(leaf_hashes)
    if not nodes:
        return EMPTY_ROOT
    while len(nodes) > 1:
        parents = hash_pairs(nodes)
        if len(nodes) % 2:
            parents.append(nodes[-1])
        nodes = parents
    return nodes[0]


def levels_reader(leaf_hashes: Sequence[bytes]) -> NodeReader:
    """A reader over a list of leaf hashes, every level computed once."""
    levels = [list(leaf_hashes)]
    while len(levels[-1]) > 1:
        levels.append(hash_pairs(levels[-1]))
    return lambda level, index: levels[level][index]


def range_hash(start: int, end: int, read: NodeReader) -> bytes:
    """The RFC tree hash over leaves [start, end), where `start` is a multiple of the next power of two >= end -
    start.
    """
    value = b""
    while end > start:
        level = ((end - start) & (start - end)).bit_length() - 1
        node = read(level, (end >> level) - 1)
        value = node_hash(node, value) if value else node
        end -= 1 << level
    return value


def tree_root(size: int, read: NodeReader) -> bytes:
    """The root of the first `size` leaves."""
    return range_hash(0, size, read) if size else EMPTY_ROOT


def inclusion_path(index: int, size: int, read: NodeReader) -> list[bytes]:
    """PATH(index, D[size]) of RFC 9162 §2.1.3.1, leaf side first.

    Raises ProofRefused when index is not in 0..size-1.
    """
    if not 0 <= index < size:
        raise ProofRefused(f"index {index} is not in a tree of {size}")
    path = []
    level, last = 0, size - 1
    while last:
        sibling = index ^ 1
        if sibling < last:
            path.append(read(level, sibling))
        elif sibling == last:
            path.append(range_hash(sibling << level, size, read))
        index, last, level = index >> 1, last >> 1, level + 1
    return path


def consistency_path(old: int, new: int, read: NodeReader) -> list[bytes]:
    """PROOF(old, D[new]) of RFC 9162 §2.1.4.1; empty when old is 0 or equals new.

    Raises ProofRefused when old > new or old < 0.
    """
    if not 0 <= old <= new:
        raise ProofRefused(f"no proof leads from {old} to {new}")
    if old in (0, new):
        return []
    path: list[bytes] = []
    start, end, whole = 0, new, True
    while old != end - start:
        split = 1 << (end - start - 1).bit_length() - 1
        if old <= split:
            path.append(range_hash(start + split, end, read))
            end = start + split
        else:
            path.append(range_hash(start, start + split, read))
            start, old, whole = start + split, old - split, False
    if not whole:
        path.append(range_hash(start, end, read))
    return path[::-1]


def root_from_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that leaf hash, index, size and path lead to (RFC 9162 §2.1.3.2).

    Raises ProofRefused on an index outside the tree, a hash that is not 32 bytes, a path too long or too short.
    """
    if not 0 <= index < size:
        raise ProofRefused(f"index {index} is not in a tree of {size}")
    _demand_hashes(leaf, *path)
    value, left, last = leaf, index, size - 1
    for sibling in path:
        if not last:
            raise ProofRefused("the path is too long")
        if left & 1 or left == last:
            value = node_hash(sibling, value)
            while not left & 1:
                left, last = left >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        left, last = left >> 1, last >> 1
    if last:
        raise ProofRefused("the path is too short")
    return value


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], *, root: bytes) -> None:
    """Return quietly when the leaf hash stands at `index` in the tree (size, root); else raise ProofRefused."""
    _demand_hashes(root)
    if root_from_path(leaf, index, size, path) != root:
        raise ProofRefused("the path leads to another root")


def verify_consistency(old: int, new: int, path: Sequence[bytes], *, old_root: bytes, new_root: bytes) -> None:
    """Return quietly when the tree (old, old_root) is a prefix of (new, new_root) (RFC 9162 §2.1.4.2); else raise
    ProofRefused.

    From size 0 only the empty path and old root SHA-256("") are accepted; equal sizes need equal roots and an empty
    path.
    """
    if not 0 <= old <= new:
        raise ProofRefused(f"no proof leads from {old} to {new}")
    _demand_hashes(old_root, new_root, *path)
    if old in (0, new):
        if path or (old == new and old_root != new_root) or (old == 0 and old_root != EMPTY_ROOT):
            raise ProofRefused("the two trees are not the same beginning")
        return
    if old & (old - 1) == 0:
        path = [old_root, *path]
    if not path:
        raise ProofRefused("the path is too short")
    if _fold_consistency(old, new, path) != (old_root, new_root):
        raise ProofRefused("the path leads to other roots")


def _fold_consistency(old: int, new: int, path: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Both roots that a path of at least one hash leads to, for 0 < old < new."""
    left, last = old - 1, new - 1
    while left & 1:
        left, last = left >> 1, last >> 1
    old_value = new_value = path[0]
    for sibling in path[1:]:
        if not last:
            raise ProofRefused("the path is too long")
        if left & 1 or left == last:
            old_value, new_value = node_hash(sibling, old_value), node_hash(sibling, new_value)
            while left and not left & 1:
                left, last = left >> 1, last >> 1
        else:
            new_value = node_hash(new_value, sibling)
        left, last = left >> 1, last >> 1
    if last:
        raise ProofRefused("the path is too short")
    return old_value, new_value


def _demand_hashes(*hashes: bytes) -> None:
    if len(hashes) > MAX_PATH + 2:
        raise ProofRefused("the path is too long")
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise ProofRefused(f"a hash of {len(value)} bytes instead of {HASH_BYTES}")
