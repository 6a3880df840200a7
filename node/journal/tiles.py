"""Tiles: paths, entry bundles, and reading any tile of a tree (C2SP tlog-tiles, tiles of height 8).

`tile/<L>/<N>` holds 256 hashes of tree level 8·L, `tile/entries/<N>` the 256 entries below a level-0 tile, each
behind a big-endian uint16 length; `.p/<W>` holds the first W of them while the tile is not full.
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from node.journal.errors import TileRefused
from node.journal.frontier import TILE_BYTES, TILE_HEIGHT, TILE_WIDTH, Frontier, TileReader, split_hashes
from node.journal.merkle import HASH_BYTES, root

ENTRIES = -1
"""The level of an `Address` that names an entry bundle."""
MAX_ENTRY_BYTES = 65_535
MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + MAX_ENTRY_BYTES)
MAX_TILE_LEVEL = 63
_CACHED_TILES = 64
_PATH = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<n>(x[0-9]{3}/){0,6}[0-9]{3})(\.p/(?P<width>[1-9][0-9]{0,2}))?"
)


class Address(NamedTuple):
    """A tile or bundle: tile level (ENTRIES for a bundle), number, width 1..256 (256 = full)."""

    level: int
    n: int
    width: int = TILE_WIDTH

    @property
    def path(self) -> str:
        """The path below the log's prefix, without a leading slash."""
        level = "entries" if self.level == ENTRIES else str(self.level)
        part = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{number_path(self.n)}{part}"


def number_path(n: int) -> str:
    """Groups of three digits, all but the last with an `x`: 1234067 is x001/x234/067."""
    groups = [f"{n % 1000:03d}"]
    while n := n // 1000:
        groups.insert(0, f"x{n % 1000:03d}")
    return "/".join(groups)


def parse_path(path: str) -> Address:
    """The address a path names. Raises TileRefused on any spelling but the one of `Address.path`."""
    match = _PATH.fullmatch(path)
    if match is None:
        raise TileRefused("not a tile path")
    level = ENTRIES if match["level"] == "entries" else int(match["level"])
    n = int(match["n"].replace("x", "").replace("/", ""))
    address = Address(level, n, int(match["width"] or TILE_WIDTH))
    if address.path != path or level > MAX_TILE_LEVEL or address.width > TILE_WIDTH:
        raise TileRefused("not a tile path in canonical form")
    return address


def addresses(size: int) -> Iterator[Address]:
    """Every entry bundle, then every hash tile, of a tree of `size` leaves, each at its width."""
    yield from _row(ENTRIES, size)
    level, count = 0, size
    while count:
        yield from _row(level, count)
        level, count = level + 1, count >> TILE_HEIGHT


def _row(level: int, count: int) -> Iterator[Address]:
    full, rest = divmod(count, TILE_WIDTH)
    for n in range(full):
        yield Address(level, n)
    if rest:
        yield Address(level, full, rest)


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """The bytes of an entry bundle of 1..256 entries. Raises TileRefused when there are none, too many or one too
    long.
    """
    if not 0 < len(entries) <= TILE_WIDTH:
        raise TileRefused(f"a bundle of {len(entries)} entries")
    if max(map(len, entries)) > MAX_ENTRY_BYTES:
        raise TileRefused(f"an entry longer than {MAX_ENTRY_BYTES} bytes")
    return b"".join(len(entry).to_bytes(2) + entry for entry in entries)


def decode_bundle(data: bytes) -> list[bytes]:
    """The 1..256 entries of a bundle. Raises TileRefused when it is cut short, empty or too long."""
    entries: list[bytes] = []
    start, end = 0, len(data)
    while start < end:
        stop = start + 2 + int.from_bytes(data[start : start + 2])
        if start + 2 > end or stop > end:
            raise TileRefused("an entry bundle is cut short")
        entries.append(data[start + 2 : stop])
        start = stop
    if not 0 < len(entries) <= TILE_WIDTH:
        raise TileRefused(f"a bundle of {len(entries)} entries")
    return entries


class TileTree:
    """Any tile and any complete subtree of the tree a frontier closes; made per request, not thread-safe.

    `read_tile(level, n)` is asked for full tiles only; partial tiles come from the frontier. `node` is a
    `merkle.NodeReader`, so `inclusion_path(index, size, tree.node)` and `consistency_path` serve every size up to the
    frontier's.
    """

    def __init__(self, frontier: Frontier, read_tile: TileReader) -> None:
        self._frontier = frontier
        self._read_tile = read_tile
        self._cache: dict[tuple[int, int], bytes] = {}

    def tile(self, address: Address) -> bytes:
        """The first `width` hashes of a tile. Raises TileRefused when the tree does not reach so far."""
        data = self._whole(address.level, address.n)
        if len(data) < address.width * HASH_BYTES:
            raise TileRefused("the tree does not reach so far")
        return data[: address.width * HASH_BYTES]

    def node(self, level: int, index: int) -> bytes:
        """The hash of the complete subtree `index` at tree level `level`. Raises TileRefused when it is not one."""
        tile_level, height = divmod(level, TILE_HEIGHT)
        n, first = divmod(index << height, TILE_WIDTH)
        data = self._whole(tile_level, n)[first * HASH_BYTES : (first + (1 << height)) * HASH_BYTES]
        if len(data) != HASH_BYTES << height:
            raise TileRefused("the tree does not reach so far")
        return root(split_hashes(data))

    def _whole(self, level: int, n: int) -> bytes:
        """What exists of the tile at the frontier's size."""
        full = self._frontier.size >> TILE_HEIGHT * (level + 1)
        if not (0 <= level < len(self._frontier.parts) and 0 <= n <= full):
            raise TileRefused("the tree does not reach so far")
        if n == full:
            return self._frontier.parts[level]
        data = self._cache.get((level, n))
        if data is None:
            data = self._read_tile(level, n)
            if len(data) != TILE_BYTES:
                raise TileRefused(f"a full tile has {TILE_BYTES} bytes, not {len(data)}")
            if len(self._cache) >= _CACHED_TILES:
                self._cache.clear()
            self._cache[level, n] = data
        return data
