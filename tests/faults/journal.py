"""The journal at work in tests: appenders of our own on a real ledger, a clock that stands still, and the whole log
re-derived.

`check_log` trusts nothing but the leaves: it is run after every journal test (sunlight's `CheckLog`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from consent.enterprise import CreditCode
from consent.evidence import Evidence, Kind
from node.app import make_ledger
from node.clock import Clock
from node.database import make_engine
from node.journal import leaf as leaves
from node.journal.act import Act
from node.journal.appender import Appender
from node.journal.checkpoint import open_checkpoint
from node.journal.frontier import Frontier
from node.journal.laws import LawReport, check
from node.journal.leaf import AnyLeaf
from node.journal.ledger import Ledger
from node.journal.merkle import EMPTY_ROOT
from node.journal.note import Signer, Verifier
from node.journal.standing import LogNames
from node.journal.subjects import SubjectKeys
from node.journal.tables import Checkpoint, Entry, Head, Subject, Tile

NODE_ID = "xyd.test.example"
SEED = bytes(range(32))
SEALING_KEY = b"\x07" * 32
NAMES = LogNames(NODE_ID, "2026.11-r1", lambda origin: Signer(origin, SEED))
NOON = datetime(2026, 11, 23, 4, 0, tzinfo=UTC)


class StillClock:
    """A clock that moves only when told."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def tick(self, seconds: float) -> None:
        """Move on, or back."""
        self.at += timedelta(seconds=seconds)


def make_appender(database: str | Ledger, clock: Clock, *, queue: int = 4096) -> Appender:
    """An appender that is not started yet, on a database or on a ledger that stands before one."""
    ledger = make_ledger(database) if isinstance(database, str) else database
    return Appender(ledger, NAMES, SubjectKeys(SEALING_KEY), clock, queue=queue)


@asynccontextmanager
async def appending(
    database: str | Ledger, clock: Clock | None = None, *, queue: int = 4096
) -> AsyncIterator[Appender]:
    """A started appender; stopped at the end."""
    appender = make_appender(database, clock or StillClock(), queue=queue)
    await appender.start()
    try:
        yield appender
    finally:
        await appender.stop()


@dataclass(frozen=True)
class Log:
    """A log that was re-derived: its rows, its leaves in order, what the laws say, its checkpoints' sizes."""

    origin: str
    entries: list[Entry]
    leaves: list[AnyLeaf]
    laws: LawReport
    sizes: list[int]

    def kinds(self) -> list[str]:
        """The kind of every leaf, in order."""
        return [leaves.kind_of(each) for each in self.leaves]

    def of(self, kind: str) -> list[AnyLeaf]:
        """The leaves of one kind."""
        return [each for each in self.leaves if leaves.kind_of(each) == kind]

    def requests(self, kind: str) -> set[str]:
        """The request ids of one kind of entry."""
        return {entry.req for entry in self.entries if entry.kind == kind}


class _Rows(NamedTuple):
    """A year's log as it lies in the tables, seen at one instant: its writers may go on meanwhile."""

    head: Head | None
    entries: list[Entry]
    notes: list[Checkpoint]
    tiles: list[Tile]
    subjects: list[Subject]


async def _read(database: str, year: int) -> _Rows:
    engine = make_engine(database)
    try:
        async with engine.connect() as connection:
            if database.startswith("sqlite"):
                await connection.exec_driver_sql("BEGIN")
            else:
                await connection.execution_options(isolation_level="REPEATABLE READ")
            async with AsyncSession(connection) as session:
                return _Rows(
                    (await session.exec(select(Head).where(Head.log_year == year))).first(),
                    list(await session.exec(select(Entry).where(Entry.log_year == year).order_by(col(Entry.idx)))),
                    list(
                        await session.exec(select(Checkpoint).where(Checkpoint.log_year == year).order_by(text("size")))
                    ),
                    list(await session.exec(select(Tile).where(Tile.log_year == year).order_by(text("level, n")))),
                    list(await session.exec(select(Subject).where(Subject.log_year == year))),
                )
    finally:
        await engine.dispose()


async def check_log(database: str, year: int = 2026, *, names: LogNames = NAMES) -> Log:
    """Re-derive a year's log from its leaves: entries, columns, tiles, every checkpoint, head, counters, laws."""
    head, entries, notes, tiles, subjects = await _read(database, year)
    parsed = _check_entries(entries)
    _check_tree(entries, notes, tiles, names.signer(names.origin(year)).vkey)
    assert head is not None and notes
    assert (head.size, head.root, head.last_ts) == (len(entries), notes[-1].root, entries[-1].ts)
    _check_counters(entries, subjects)
    laws = check(parsed)
    assert laws.lawful, laws.violations
    return Log(names.origin(year), entries, parsed, laws, [note.size for note in notes])


def _check_entries(entries: Iterable[Entry]) -> list[AnyLeaf]:
    """Dense from 0; hash and every search column are what the leaf says."""
    found = []
    for index, entry in enumerate(entries):
        parsed = leaves.parse(entry.leaf)
        assert (entry.idx, entry.leaf_hash) == (index, sha256(b"\x00" + entry.leaf).digest())
        told = (parsed.ts, leaves.kind_of(parsed), parsed.org, parsed.sub, parsed.seq)
        assert told == (entry.ts, entry.kind, entry.org, entry.sub, entry.seq)
        assert (getattr(parsed, "grant", ""), getattr(parsed, "req", "")) == (entry.grant_id, entry.req)
        found.append(parsed)
    return found


def _check_tree(entries: list[Entry], notes: list[Checkpoint], tiles: list[Tile], vkey: str) -> None:
    """Every checkpoint signs the root of the first `size` leaves; the stored tiles are exactly the full ones."""
    frontier, done = Frontier(), 0
    derived: dict[tuple[int, int], bytes] = {}
    for note in notes:
        batch = frontier.append([entry.leaf_hash for entry in entries[done : note.size]], paths=False)
        frontier, done = batch.after, note.size
        derived |= {(tile.level, tile.n): tile.data for tile in batch.tiles}
        signed, _ = open_checkpoint(note.note, Verifier(vkey))
        assert (signed.size, signed.root) == (note.size, note.root) == (frontier.size, frontier.root)
    assert done == len(entries) and (entries or frontier.root == EMPTY_ROOT)
    assert {(tile.level, tile.n): tile.data for tile in tiles} == derived


def _check_counters(entries: list[Entry], subjects: list[Subject]) -> None:
    """Each enterprise's leaves carry 1..n, and n is its counter."""
    for subject in subjects:
        carried = [entry.seq for entry in entries if entry.sub == subject.pseudonym]
        assert carried == list(range(1, subject.counter + 1))
    assert {entry.sub for entry in entries if entry.sub} == {subject.pseudonym for subject in subjects}


async def execute(database: str, statement: str, **values: object) -> None:
    """Run one statement from outside, as somebody with a client would."""
    async with outside(database) as connection:
        await connection.execute(text(statement), values)


@asynccontextmanager
async def outside(database: str) -> AsyncIterator[AsyncConnection]:
    """Another client's transaction: committed at the end, rolled back when something is raised."""
    engine = make_engine(database)
    try:
        async with engine.begin() as connection:
            yield connection
    finally:
        await engine.dispose()


def note(act: str = "noted", enterprise: CreditCode | None = None, org: str = "node") -> Act:
    """A small act that needs nothing."""
    return Act((Evidence(Kind.BANK, org, enterprise, {"act": act}),))
