"""The log as it is read: checkpoints, tiles, bundles, proofs, openings. Serves what C2SP tlog-tiles says, from the
tables.

Reads the newest *committed* checkpoint and answers for exactly that size, so one answer never mixes two states.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from sqlalchemy.orm import aliased
from sqlmodel import col, func, select

from consent.sealing import SealBroken
from node.database import Reader
from node.journal import frontier as tree
from node.journal.act import Receipt
from node.journal.errors import TileRefused
from node.journal.frontier import Frontier
from node.journal.ledger import SubjectRow
from node.journal.merkle import consistency_path, inclusion_path
from node.journal.subjects import SubjectKeys, entry_identity
from node.journal.tables import Checkpoint, Entry, Head, Subject, Tile
from node.journal.tiles import ENTRIES, Address, TileTree, addresses, encode_bundle, parse_path

Made = TypeVar("Made")
MAX_CATCH_UP = 100_000
"""Leaves read to bring a reader's frontier level; beyond that it is rebuilt from tiles."""


class _Needed(Exception):
    def __init__(self, level: int, n: int) -> None:
        super().__init__(level, n)
        self.place = (level, n)


class Newest(NamedTuple):
    """The newest checkpoint of a year: how many entries it signs, and the note."""

    size: int
    note: str
    ts: int


class LogReading:
    """The log of one year, read-only."""

    def __init__(self, reader: Reader, log_year: int) -> None:
        self._reader, self.log_year = reader, log_year
        self._frontier = Frontier()

    async def newest(self) -> Newest | None:
        """The newest checkpoint, None when the year has no log."""
        statement = select(Checkpoint).where(Checkpoint.log_year == self.log_year)
        row = await self._reader.first(statement.order_by(col(Checkpoint.size).desc()).limit(1))
        return None if row is None else Newest(row.size, row.note, row.ts)

    async def origin(self) -> str:
        """The log's origin, "" when the year has no log."""
        row = await self._reader.first(select(Head).where(Head.log_year == self.log_year))
        return "" if row is None else row.origin

    async def member(self, path: str) -> bytes | None:
        """The bytes of `checkpoint` or a `tile/…` path, None when the log has no such thing (yet)."""
        newest = await self.newest()
        if newest is None:
            return None
        if path == "checkpoint":
            return newest.note.encode()
        try:
            address = parse_path(path)
            if address.level == ENTRIES:
                return await self._bundle(address, newest.size)
            return await self._with_tree(newest.size, lambda t: t.tile(address))
        except TileRefused:
            return None

    async def _bundle(self, address: Address, size: int) -> bytes | None:
        start = address.n * tree.TILE_WIDTH
        if start + address.width > size:
            return None
        leaves = await self._column(Entry.leaf, start, start + address.width)
        return encode_bundle(leaves)

    async def _column(self, column: Any, start: int, end: int) -> list[bytes]:
        statement = select(column).where(Entry.log_year == self.log_year, Entry.idx >= start, Entry.idx < end)
        return list(await self._reader.all(statement.order_by(col(Entry.idx))))

    async def _frontier_at(self, size: int) -> Frontier:
        mine = self._frontier
        if mine.size > size or size - mine.size > MAX_CATCH_UP:
            mine = await self._rebuild(size)
        elif mine.size < size:
            mine = mine.append(await self._column(Entry.leaf_hash, mine.size, size), paths=False).after
        self._frontier = mine
        return mine

    async def _rebuild(self, size: int) -> Frontier:
        tail = await self._column(Entry.leaf_hash, size - size % tree.TILE_WIDTH, size)
        tiles: dict[tuple[int, int], bytes] = {}
        level, count = 0, size >> tree.TILE_HEIGHT
        while count:
            for n in range(count - count % tree.TILE_WIDTH, count):
                tiles[level, n] = await self._tile(level, n)
            level, count = level + 1, count >> tree.TILE_HEIGHT
        return tree.rebuild(size, lambda lvl, n: tiles[lvl, n], lambda _start, _end: tail)

    async def _tile(self, level: int, n: int) -> bytes:
        statement = select(Tile).where(Tile.log_year == self.log_year, Tile.level == level, Tile.n == n)
        row = await self._reader.first(statement)
        if row is None:
            raise TileRefused("a full tile is missing")
        return row.data

    async def _with_tree(self, size: int, make: Callable[[TileTree], Made]) -> Made:
        """Run a synchronous reading of the tree, fetching the tiles it turns out to need (at most seven for a
        proof).
        """
        frontier = await self._frontier_at(size)
        tiles: dict[tuple[int, int], bytes] = {}

        def read(level: int, n: int) -> bytes:
            if (level, n) not in tiles:
                raise _Needed(level, n)
            return tiles[level, n]

        while True:
            try:
                return make(TileTree(frontier, read))
            except _Needed as needed:
                tiles[needed.place] = await self._tile(*needed.place)

    async def consistency(self, old: int, new: int) -> list[bytes] | None:
        """The consistency proof between two sizes (RFC 9162 §2.1.4), None when there is none to give."""
        newest = await self.newest()
        if newest is None or not 0 <= old <= new <= newest.size:
            return None
        return await self._with_tree(newest.size, lambda t: consistency_path(old, new, t.node))

    async def prove(self, entry: Entry) -> Receipt:
        """A receipt of an entry against the newest checkpoint; its opening is left empty."""
        newest = await self.newest()
        if newest is None or entry.idx >= newest.size:
            raise TileRefused("the entry is not under a checkpoint yet")
        path = await self._with_tree(newest.size, lambda t: inclusion_path(entry.idx, newest.size, t.node))
        return Receipt(
            await self.origin(), entry.idx, entry.ts, newest.size, entry.leaf, tuple(path), newest.note, entry.salt, b""
        )

    async def members(self) -> dict[str, bytes]:
        """Every member of the log at its newest checkpoint, for an evidence bundle. Reads the whole log."""
        newest = await self.newest()
        if newest is None:
            return {}
        found = {"checkpoint": newest.note.encode()}
        for address in addresses(newest.size):
            if address.level == ENTRIES:
                data = await self._bundle(address, newest.size)
            else:
                data = await self._with_tree(newest.size, lambda t, a=address: t.tile(a))  # type: ignore[misc]
            found[address.path] = data or b""
        return found


class Openings:
    """Opens what lies sealed beside the tree, for those who may see it."""

    def __init__(self, reader: Reader, keys: SubjectKeys) -> None:
        self._reader, self._keys = reader, keys

    async def open(self, entry: Entry) -> dict[str, Any]:
        """The details of an entry, {} when the subject's key is gone (erased)."""
        row = None
        if entry.sub:
            found = await self._reader.first(select(Subject).where(Subject.pseudonym == entry.sub))
            if found is None:
                return {}
            row = SubjectRow(found.pseudonym, found.counter, found.wrapped_key)
        try:
            data = self._keys.sealer(row).open(entry.sealed, entry_identity(entry.log_year, entry.idx))
        except SealBroken:
            return {}
        opened: dict[str, Any] = json.loads(data)
        return opened


class Proofs:
    """Inclusion proofs of entries of any year."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._logs: dict[int, LogReading] = {}

    def log(self, log_year: int) -> LogReading:
        """The log of a year; whether it exists shows when it is read."""
        found = self._logs.get(log_year)
        if found is None:
            found = self._logs[log_year] = LogReading(self._reader, log_year)
        return found

    async def years(self) -> list[int]:
        """The years that have a log, oldest first."""
        return list(await self._reader.all(select(Head.log_year).order_by(col(Head.log_year))))

    async def prove(self, entry: Entry) -> Receipt:
        """See LogReading.prove."""
        return await self.log(entry.log_year).prove(entry)

    async def open_intents(self, before_ms: int, after_ms: int) -> list[Entry]:
        """REQ entries in a span of time that nothing ever closed."""
        end = aliased(Entry)
        closing = select(end.idx).where(end.req == Entry.req, col(end.kind).in_(["REL", "ASSESS", "DENY", "ABORT"]))
        statement = select(Entry).where(
            Entry.kind == "REQ", Entry.ts < before_ms, Entry.ts >= after_ms, ~closing.exists()
        )
        return list(await self._reader.all(statement.order_by(col(Entry.idx)).limit(1000)))

    async def count(self) -> int:
        """Entries over all years."""
        sizes = await self._reader.all(select(func.coalesce(func.sum(Head.size), 0)))
        return int(sizes[0])
