"""The ledger's contract (see `node.journal.ledger`), held by both implementations."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256

import pytest
from sqlalchemy.exc import DBAPIError
from sqlmodel import select

from consent.enterprise import issue_fictitious
from consent.signatory import Enterprise
from node.app import make_ledger
from node.database import Reader, make_engine
from node.journal.batch import empty_writes
from node.journal.frontier import TILE_BYTES
from node.journal.ledger import EntryRow, HeadMoved, HeadRow, Ledger, LedgerFault, Wanted, Writes
from node.journal.tables import Checkpoint, Entry, Tile
from tests.faults.journal import StillClock, appending, check_log, execute, note

LOG_TABLES = ("journal_entry", "journal_tile", "journal_checkpoint")


@pytest.fixture
async def ledger(database: str) -> AsyncIterator[Ledger]:
    """Open, on an empty database."""
    made = make_ledger(database)
    await made.open()
    yield made
    await made.rollback()
    await made.close()


def one_more(head: HeadRow) -> Writes:
    """A batch of one entry and one tile after `head`, whatever it says."""
    writes = empty_writes(head, 7)
    leaf = b"leaf %d" % head.size
    writes.entries.append(EntryRow(head.size, 7, "BANK", "o", "", 0, "", "", sha256(leaf).digest(), leaf, b"s", b"d"))
    writes.size, writes.root, writes.note = head.size + 1, b"r" * 32, "note"
    writes.tiles = [(0, head.size, b"t" * TILE_BYTES)]
    return writes


async def grow(ledger: Ledger) -> HeadRow:
    """Lock, write one entry, commit; the head as it was locked."""
    head = await ledger.lock() or await ledger.new_log(2026, "origin")
    await ledger.write(one_more(head))
    await ledger.commit()
    return head


async def test_an_empty_store_has_no_head_and_keeps_what_is_committed(ledger: Ledger) -> None:
    assert await ledger.lock() is None
    assert await ledger.new_log(2026, "origin") == HeadRow(2026, "origin", 0, b"", 0)
    await ledger.rollback()
    assert await ledger.lock() is None
    await ledger.rollback()
    await grow(ledger)
    assert await ledger.lock() == HeadRow(2026, "origin", 1, b"r" * 32, 7)
    await ledger.rollback()
    assert await ledger.leaf_hashes(2026, 0, 9) == [sha256(b"leaf 0").digest()]
    assert await ledger.tile(2026, 0, 0) == b"t" * TILE_BYTES
    assert await ledger.tile(2026, 0, 1) is None


async def test_nobody_else_passes_the_lock(database: str, ledger: Ledger) -> None:
    await grow(ledger)
    other = make_ledger(database)
    await other.open()
    await ledger.lock()
    passing = asyncio.create_task(other.lock())
    await asyncio.sleep(0.1)
    assert not passing.done()
    head = await ledger.last_head(2027)
    assert head is not None
    await ledger.write(one_more(head))
    await ledger.commit()
    seen = await passing
    assert seen is not None and seen.size == 2, "what it reads is the newest committed state"
    await other.rollback()
    await other.close()


async def test_the_first_log_is_opened_by_one_only(database: str, ledger: Ledger) -> None:
    other = make_ledger(database)
    await other.open()
    assert await ledger.lock() is None
    passing = asyncio.create_task(other.lock())
    await asyncio.sleep(0.1)
    await ledger.write(one_more(await ledger.new_log(2026, "origin")))
    await ledger.commit()
    seen = await passing
    assert seen is not None and seen.size == 1
    await other.rollback()
    await other.close()


@pytest.mark.parametrize("size", [0, 1, 3])
async def test_a_write_on_another_size_is_refused_whole(database: str, ledger: Ledger, size: int) -> None:
    await grow(ledger)
    await grow(ledger)
    head = await ledger.lock()
    assert head is not None and head.size == 2
    with pytest.raises(HeadMoved):
        await ledger.write(one_more(head._replace(size=size)))
    await ledger.rollback()
    engine = make_engine(database)
    reader = Reader(engine)
    assert [len(await reader.all(select(table))) for table in (Entry, Checkpoint, Tile)] == [2, 2, 2]
    await engine.dispose()


async def test_rows_are_inserted_once_and_several_together(ledger: Ledger) -> None:
    one, two = (Enterprise(code=str(issue_fictitious(n)), name="n") for n in (1, 2))
    await ledger.lock()
    assert await ledger.insert([one])
    assert not await ledger.insert([one])
    assert not await ledger.insert([two, one])
    assert await ledger.insert([two]), "the first of the two was not kept"
    await ledger.rollback()
    await ledger.lock()
    assert await ledger.insert([two, one])


async def test_what_is_asked_for_is_found_and_nothing_else(database: str, ledger: Ledger, clock: StillClock) -> None:
    from tests.people import Bank
    from tests.people import Enterprise as Firm

    bank, firm = Bank(), Firm()
    async with appending(database, clock) as appender:
        await appender.append(bank.admitted(clock()))
        grants = []
        for _ in range(3):
            grant, act = firm.gives(bank, clock())
            await appender.append(act)
            grants.append(grant.id)
    await ledger.lock()
    found = await ledger.look(Wanted(2026, [*grants[:2], "grt_none"], ["none"], [str(firm.code), "none"], [("b", "k")]))
    assert set(found.grants) == set(grants[:2]) and set(found.subjects) == {str(firm.code)}
    assert (found.tokens, found.keys) == ({}, set())
    assert found.subjects[str(firm.code)].counter == 3
    other_year = await ledger.look(Wanted(2025, [], [], [str(firm.code)], []))
    assert other_year.subjects == {}
    await ledger.rollback()


async def test_a_closed_ledger_says_so_and_can_be_opened_again(ledger: Ledger) -> None:
    await ledger.close()
    await ledger.close()
    await ledger.rollback()
    with pytest.raises(LedgerFault) as caught:
        await ledger.lock()
    assert caught.value.lost
    await ledger.open()
    await grow(ledger)


async def test_a_commit_is_durable_by_the_database_s_own_word(database: str, ledger: Ledger) -> None:
    """SQLite: WAL with synchronous=FULL (2). PostgreSQL: fsync and synchronous_commit on."""
    sqlite = database.startswith("sqlite")
    asked = ("PRAGMA synchronous", "PRAGMA journal_mode") if sqlite else ("SHOW synchronous_commit", "SHOW fsync")
    if sqlite:
        found = [(await ledger._all(each))[0][0] for each in asked]  # type: ignore[attr-defined]
    else:
        found = [await ledger._live().fetchval(each) for each in asked]  # type: ignore[attr-defined]
    assert found == ([2, "wal"] if sqlite else ["on", "on"])


@pytest.mark.parametrize("table", LOG_TABLES)
@pytest.mark.parametrize("statement", ["UPDATE {} SET log_year = 2026", "DELETE FROM {}"])
async def test_what_was_logged_is_never_changed_or_removed(
    database: str, clock: StillClock, table: str, statement: str
) -> None:
    async with appending(database, clock) as appender:
        await asyncio.gather(*[appender.append(note()) for _ in range(300)])
    with pytest.raises(DBAPIError):
        await execute(database, statement.format(table))
    assert len((await check_log(database)).entries) == 301


@pytest.mark.parametrize("table", LOG_TABLES)
async def test_what_was_logged_is_never_replaced(sqlite_database: str, clock: StillClock, table: str) -> None:
    """SQLite's REPLACE removes a row without asking the triggers on DELETE."""
    async with appending(sqlite_database, clock) as appender:
        await asyncio.gather(*[appender.append(note()) for _ in range(300)])
    with pytest.raises(DBAPIError, match="insert-only"):
        await execute(sqlite_database, f"INSERT OR REPLACE INTO {table} SELECT * FROM {table} LIMIT 1")


@pytest.mark.postgres
@pytest.mark.parametrize("table", LOG_TABLES)
async def test_what_was_logged_is_never_truncated(postgres_database: str, table: str) -> None:
    with pytest.raises(DBAPIError, match="insert-only"):
        await execute(postgres_database, f"TRUNCATE {table}")
