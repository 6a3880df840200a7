"""The right edge of the journal's tree, and how a batch of leaves grows it (reference/audit.md §3.9).

A `Frontier` is a value: `append` computes the next one and leaves this one alone, so the appender can compute a
candidate, commit it to the database and only then adopt `batch.after`; after a rollback the old frontier is still
true.

Cost: about 2 hashes per leaf in a large batch; the number of set bits of the size for a batch of one. Memory: O(log
size) hashes and one partial tile (< 8,192 bytes) per tile level.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import NamedTuple

from node.journal.errors import TileRefused
from node.journal.merkle import EMPTY_ROOT, HASH_BYTES, hash_pairs, root

TILE_HEIGHT = 8
TILE_WIDTH = 256
TILE_BYTES = TILE_WIDTH * HASH_BYTES

TileReader = Callable[[int, int], bytes]
"""`read(level, n)` gives the 8,192 bytes of the full tile n at tile level `level`."""
LeafHashReader = Callable[[int, int], Sequence[bytes]]
"""`read(start, end)` gives the leaf hashes of entries start <= index < end."""


class Tile(NamedTuple):
    """A tile that became full: tile level, number within the level, 8,192 bytes."""

    level: int
    n: int
    data: bytes


class Batch(NamedTuple):
    """What appending leaves gives: the next frontier, the paths of the batch's leaves at its size, the tiles now
    full.
    """

    after: "Frontier"
    first: int
    paths: list[tuple[bytes, ...]]
    tiles: list[Tile]


class Frontier(NamedTuple):
    """The tree at `size`: its root, its complete subtrees (smallest first) and its partial tiles (one per tile
    level).
    """

    size: int = 0
    root: bytes = EMPTY_ROOT
    peaks: tuple[bytes, ...] = ()
    parts: tuple[bytes, ...] = (b"",)

    def append(self, leaves: Sequence[bytes], *, paths: bool = True) -> Batch:
        """The frontier after `leaves` (32-byte leaf hashes, in order) and the inclusion path of each of them.

        `paths=False` leaves the paths out (bulk verification). An empty batch gives the same frontier.
        """
        if not leaves:
            return Batch(self, self.size, [], [])
        size = self.size + len(leaves)
        levels, taken = self._climb(list(leaves))
        suffix = self.peaks[taken:]
        value = levels[-1][-1]
        spine = [value, *[value := sha256(b"\x01" + peak + value).digest() for peak in suffix]]
        parts, tiles = self._fill(levels, spine, size)
        after = Frontier(size, value, self._peaks(levels, spine, suffix, size), parts)
        return Batch(after, self.size, self._paths(levels, suffix) if paths else [], tiles)

    def _climb(self, nodes: list[bytes]) -> tuple[list[list[bytes]], int]:
        """The nodes above the batch, level by level, each list begun with the left sibling from the peaks when there
        is one.

        Ends at the first level where one node covers the batch; that level is [node]. The second value is the number
        of peaks used. An odd last node is promoted: it stands for the incomplete subtree above it.
        """
        levels: list[list[bytes]] = []
        start, taken = self.size, 0
        while len(nodes) > 1:
            if start & 1:
                nodes.insert(0, self.peaks[taken])
                taken += 1
            levels.append(nodes)
            parents = hash_pairs(nodes)
            if len(nodes) & 1:
                parents.append(nodes[-1])
            nodes, start = parents, start >> 1
        levels.append(nodes)
        return levels, taken

    def _peaks(
        self, levels: list[list[bytes]], spine: list[bytes], suffix: tuple[bytes, ...], size: int
    ) -> tuple[bytes, ...]:
        """The complete subtrees at `size`, smallest first: one for each set bit."""
        top = len(levels) - 1
        if size & ((1 << top) - 1) == 0:
            carried = _trailing_ones(self.size >> top)
            return (spine[carried], *suffix[carried:])
        low = [
            levels[level][(size >> level) - 1 - (self.size >> level & ~1)] for level in range(top) if size >> level & 1
        ]
        return (*low, *suffix)

    def _paths(self, levels: list[list[bytes]], suffix: tuple[bytes, ...]) -> list[tuple[bytes, ...]]:
        """The path of every leaf of the batch, made from the top down so that leaves share the work for their
        ancestors.
        """
        paths = [suffix]
        for level in range(len(levels) - 2, -1, -1):
            nodes = levels[level]
            below = []
            odd = self.size >> level & 1
            for position in range(odd, len(nodes)):
                sibling = position ^ 1
                above = paths[(position >> 1)]
                below.append((nodes[sibling], *above) if sibling < len(nodes) else above)
            paths = below
        return paths

    def _fill(self, levels: list[list[bytes]], spine: list[bytes], size: int) -> tuple[tuple[bytes, ...], list[Tile]]:
        """The partial tiles at `size`, and the tiles that became full on the way."""
        parts, tiles = list(self.parts), []
        top, level, tile_level = len(levels) - 1, 0, 0
        while (end := size >> level) > (begin := self.size >> level):
            if tile_level == len(parts):
                parts.append(b"")
            odd = begin & 1
            fresh = levels[level][odd : end - begin + odd] if level < top else (spine[level - top],)
            data = parts[tile_level] + b"".join(fresh)
            n = begin >> TILE_HEIGHT
            while len(data) >= TILE_BYTES:
                tiles.append(Tile(tile_level, n, data[:TILE_BYTES]))
                data, n = data[TILE_BYTES:], n + 1
            parts[tile_level] = data
            level, tile_level = level + TILE_HEIGHT, tile_level + 1
        return tuple(parts), tiles


def split_hashes(data: bytes) -> list[bytes]:
    """The 32-byte hashes of a tile."""
    return [data[i : i + HASH_BYTES] for i in range(0, len(data), HASH_BYTES)]


def rebuild(size: int, read_tile: TileReader, read_leaves: LeafHashReader) -> Frontier:
    """The frontier at `size` from stored full tiles and the last (at most 255) leaf hashes; nothing else is needed.

    Reads one full tile for every hash of every partial tile above level 0. The caller compares `root` with its head
    row. Raises TileRefused when a reader gives the wrong number of bytes or hashes.
    """
    parts: list[bytes] = []
    width = size % TILE_WIDTH
    leaves = list(read_leaves(size - width, size)) if width else []
    if len(leaves) != width or any(len(leaf) != HASH_BYTES for leaf in leaves):
        raise TileRefused(f"wanted the {width} leaf hashes before {size}")
    parts.append(b"".join(leaves))
    level, count = 1, size >> TILE_HEIGHT
    while count:
        first = count - count % TILE_WIDTH
        parts.append(b"".join(tile_root(read_tile(level - 1, n)) for n in range(first, count)))
        level, count = level + 1, count >> TILE_HEIGHT
    return _from_parts(size, tuple(parts))


def tile_root(data: bytes) -> bytes:
    """The hash one tile level up of a full tile. Raises TileRefused when the tile is not 8,192 bytes."""
    if len(data) != TILE_BYTES:
        raise TileRefused(f"a full tile has {TILE_BYTES} bytes, not {len(data)}")
    return root(split_hashes(data))


def from_leaves(leaves: Sequence[bytes]) -> Frontier:
    """The frontier over all leaf hashes, from nothing."""
    return Frontier().append(leaves, paths=False).after


def _from_parts(size: int, parts: tuple[bytes, ...]) -> Frontier:
    """The frontier whose partial tiles are `parts`: each set bit of a tile's width is one complete subtree."""
    peaks: list[bytes] = []
    for data in parts:
        hashes = split_hashes(data)
        for bit in range(TILE_HEIGHT):
            if len(hashes) >> bit & 1:
                end = len(hashes) >> bit << bit
                peaks.append(root(hashes[end - (1 << bit) : end]))
    value = peaks[0] if peaks else EMPTY_ROOT
    for peak in peaks[1:]:
        value = sha256(b"\x01" + peak + value).digest()
    return Frontier(size, value, tuple(peaks), parts)


def _trailing_ones(number: int) -> int:
    return (~number & (number + 1)).bit_length() - 1
