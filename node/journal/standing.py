"""Where this process stands in the log: year, frontier, signer. Brought level with the locked head before every
batch.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from consent.evidence import Evidence, Kind
from consent.period import CHINA
from node.clock import Clock, to_ms
from node.journal import frontier as tree
from node.journal.act import JournalUnavailable
from node.journal.frontier import Frontier
from node.journal.ledger import HeadRow, Ledger
from node.journal.merkle import leaf_hash
from node.journal.note import Signer, b64encode

CLOCK_BACK_MS = 5_000


class Halted(JournalUnavailable):
    """The journal stopped for good in this process; a person must look."""


class LogNames(NamedTuple):
    """Names the logs of this node and says who signs for an origin."""

    node_id: str
    catalogue: str
    signer: Callable[[str], Signer]

    def origin(self, log_year: int) -> str:
        """The log's origin: its public prefix without a scheme (C2SP tlog-checkpoint)."""
        return f"{self.node_id}/log/{log_year}"


def log_year(now_ms: int) -> int:
    """The calendar year of an instant, in China."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(CHINA).year


class Standing:
    """The frontier this process believes in. It changes only when the database has committed, or has been read."""

    def __init__(self, ledger: Ledger, names: LogNames) -> None:
        self._ledger, self._names = ledger, names
        self._year = 0
        self._frontier: Frontier | None = None
        self._signer: Signer | None = None

    def adopt(self, year: int, frontier: Frontier) -> None:
        """Believe what was committed, or read under the lock. It is never forgotten while the process lives."""
        self._year, self._frontier = year, frontier

    async def lock(self, clock: Clock) -> HeadRow:
        """Lock the newest head; open the log of a new year. Raises Halted when the clock ran back.

        The clock is read under the lock: a long wait for it must not make another's later entry look like a clock run
        back.
        """
        head = await self._ledger.lock()
        now_ms = to_ms(clock())
        year = log_year(now_ms)
        if head is None or (year > head.log_year and head.size > 0):
            return await self._ledger.new_log(year, self._names.origin(year))
        if now_ms < head.last_ts - CLOCK_BACK_MS:
            raise Halted("the clock ran backwards")
        return head

    async def level_with(self, head: HeadRow) -> tuple[Frontier, Signer]:
        """The frontier at the head: ours, grown by another process's entries, or rebuilt (at boot, in a new year).

        Raises Halted when the store has another root than its leaves give, or fewer entries than it had committed (a
        backup was put back, a standby lagged): receipts were given for those.
        """
        mine = self._frontier
        if mine is None or self._year < head.log_year:
            mine = await self._rebuild(head)
        elif self._year > head.log_year or mine.size > head.size:
            raise Halted("the store lost entries that it had committed")
        elif mine.size < head.size:
            mine = mine.append(await self._ledger.leaf_hashes(head.log_year, mine.size, head.size), paths=False).after
        if mine.size != head.size or (head.size and mine.root != head.root):
            raise Halted("the stored root is not the root of the stored leaves")
        if self._signer is None or self._signer.name != head.origin:
            self._signer = self._names.signer(head.origin)
        if head.size:
            self.adopt(head.log_year, mine)
        return mine, self._signer

    async def check_edge(self, head: HeadRow) -> None:
        """Hash the entries at the right edge anew (audit.md §3.8). Halted when a stored hash is not its leaf's."""
        width = head.size % tree.TILE_WIDTH or min(head.size, tree.TILE_WIDTH)
        for stored, leaf in await self._ledger.leaves(head.log_year, head.size - width, head.size):
            if leaf_hash(leaf) != stored:
                raise Halted("an entry at the right edge is not what was hashed")

    async def _rebuild(self, head: HeadRow) -> Frontier:
        """From full tiles and the last leaves, read ahead because the pure code reads synchronously."""
        year, size = head.log_year, head.size
        tail = await self._ledger.leaf_hashes(year, size - size % tree.TILE_WIDTH, size)
        tiles: dict[tuple[int, int], bytes] = {}
        level, count = 0, size >> tree.TILE_HEIGHT
        while count:
            for n in range(count - count % tree.TILE_WIDTH, count):
                tiles[level, n] = await self._ledger.tile(year, level, n) or b""
            level, count = level + 1, count >> tree.TILE_HEIGHT
        return tree.rebuild(size, lambda lvl, n: tiles.get((lvl, n), b""), lambda _start, _end: tail)

    async def opening(self, head: HeadRow) -> Evidence:
        """The first entry of a log: which node, which catalogue, and where the log of the year before ended."""
        before = await self._ledger.last_head(head.log_year)
        prev = "" if before is None else f"{before.origin} {before.size} {b64encode(before.root)}"
        public = {"node": self._names.node_id, "catalogue": self._names.catalogue, "prev": prev}
        return Evidence(Kind.OPEN, "node", None, public)
