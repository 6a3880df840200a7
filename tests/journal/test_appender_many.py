"""Many at once: batches, a full queue, several processes on one log, a new year, a database that goes and comes
back.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text
from sqlmodel import select

from consent.enterprise import issue_fictitious
from node.clock import to_ms, utc_now
from node.database import Reader, make_engine
from node.journal.act import Act, GrantLive, GuardFailed, JournalUnavailable
from node.journal.appender import Appender
from node.journal.batch import SALT_BYTES
from node.journal.leaf import Open
from node.journal.note import b64encode
from node.journal.standing import Halted, log_year
from node.journal.tables import Head
from tests.faults.journal import NAMES, StillClock, appending, check_log, make_appender, note, outside
from tests.faults.ledgers import FailingSqlite, Fault, failing
from tests.people import Bank, Enterprise

if TYPE_CHECKING:
    from tests.postgres import PostgresServer

ROOT = Path(__file__).parents[2]
NEW_YEAR = datetime(2026, 12, 31, 16, 0, tzinfo=UTC)
"""Midnight in China."""


async def test_acts_that_wait_together_are_committed_together(database: str, clock: StillClock) -> None:
    told: list[int] = []
    async with appending(database, clock) as appender:
        appender.observe = lambda entries, _seconds: told.append(entries)
        for _ in range(4):
            acts = [note(f"act-{n}", issue_fictitious(1 + n % 7)) for n in range(100)]
            receipts = await asyncio.gather(*[appender.append(act) for act in acts])
            assert len({receipt.size for (receipt,) in receipts}) <= 3
    log = await check_log(database)
    assert len(log.entries) == 401 == 1 + sum(told)
    assert len(told) <= 12 and len(log.sizes) == 1 + len(told)
    assert len({entry.salt for entry in log.entries}) == 401 and len(log.entries[0].salt) == SALT_BYTES


async def test_a_batch_is_bounded(database: str, clock: StillClock) -> None:
    async with appending(database, clock) as appender:
        await asyncio.gather(*[appender.append(note()) for _ in range(1300)])
    steps = (await check_log(database)).sizes
    assert max(after - before for before, after in pairwise(steps)) == 512


async def test_a_full_queue_refuses_at_once(database: str, clock: StillClock) -> None:
    ledger = failing(database)
    async with appending(ledger, clock, queue=4) as appender:
        ledger.holding = asyncio.Event()
        futures = [appender.append(note("first"))]
        await ledger.held.wait()
        futures += [appender.append(note(f"act-{n}")) for n in range(4)]
        assert appender.depth == 4
        with pytest.raises(JournalUnavailable, match="queue full"):
            appender.append(note("one too many"))
        ledger.holding.set()
        await asyncio.gather(*futures)
        await appender.append(note("again"))
    assert len((await check_log(database)).entries) == 7


# ---------------------------------------------------------------------------------------- several writers


async def test_two_appenders_that_boot_together_open_one_log(database: str, clock: StillClock) -> None:
    for _ in range(5):
        pair = [make_appender(database, clock) for _ in range(2)]
        await asyncio.gather(*[each.start() for each in pair])
        await asyncio.gather(*[each.stop() for each in pair])
    assert (await check_log(database)).kinds() == ["OPEN"]


async def test_two_appenders_take_turns_on_one_log(database: str, clock: StillClock) -> None:
    async with appending(database, clock) as one, appending(database, clock) as two:
        for _ in range(5):
            acts = [(who, note(f"{who is one}", issue_fictitious(1 + n % 3))) for n in range(30) for who in (one, two)]
            await asyncio.gather(*[who.append(act) for who, act in acts])
        assert not one.halted and not two.halted
    assert len((await check_log(database)).entries) == 301


@pytest.mark.serial
async def test_three_processes_keep_one_dense_log(database: str) -> None:
    command = [sys.executable, "-m", "tests.faults.append_process", database]
    processes = [
        await asyncio.create_subprocess_exec(*command, f"p{n}", "80", cwd=ROOT, stdout=asyncio.subprocess.PIPE)
        for n in range(3)
    ]
    outputs = [(await process.communicate())[0].decode().splitlines() for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    log = await check_log(database, log_year(to_ms(utc_now())))
    assert len(log.entries) == 241
    for index, size, leaf_hash in (line.split() for output in outputs for line in output):
        assert log.entries[int(index)].leaf_hash.hex() == leaf_hash and int(size) in log.sizes


async def test_a_revocation_by_one_process_stops_a_release_by_another(
    database: str, clock: StillClock, bank: Bank, enterprise: Enterprise
) -> None:
    async with appending(database, clock) as one, appending(database, clock) as two:
        await one.append(bank.admitted(clock()))
        grant, given = enterprise.gives(bank, clock())
        await one.append(given)
        await two.append(enterprise.takes_back(grant))
        with pytest.raises(GuardFailed, match=r"consent\.revoked"):
            await one.append(Act(note().evidence, (GrantLive(grant.id, 1),)))


# ------------------------------------------------------------------------------------------------ new year


async def test_a_new_year_opens_a_new_log_that_names_the_end_of_the_old(database: str, clock: StillClock) -> None:
    clock.at = NEW_YEAR
    clock.tick(-0.001)
    async with appending(database, clock) as appender:
        await appender.append(note("last", issue_fictitious(1)))
        clock.tick(0.001)
        (receipt,) = await appender.append(note("first", issue_fictitious(1)))
        assert (receipt.origin, receipt.index, receipt.size) == (f"{NAMES.node_id}/log/2027", 1, 2)
        await appender.append(note("second"))
    old, new = await check_log(database, 2026), await check_log(database, 2027)
    assert (old.kinds(), new.kinds()) == (["OPEN", "BANK"], ["OPEN", "BANK", "BANK"])
    opening, first = new.leaves[:2]
    assert isinstance(opening, Open)
    origin, size, root = opening.prev.split(" ")
    assert (origin, int(size)) == (f"{NAMES.node_id}/log/2026", len(old.entries))
    assert root == b64encode(await _root(database, 2026))
    assert first.seq == 1 and first.sub != old.leaves[1].sub, "a year's pseudonym is its own"
    async with appending(database, clock) as again:
        assert again.size == 3


async def _root(database: str, year: int) -> bytes:
    engine = make_engine(database)
    head = await Reader(engine).first(select(Head).where(Head.log_year == year))
    await engine.dispose()
    assert head is not None
    return head.root


async def test_a_process_whose_clock_is_a_moment_behind_writes_to_the_new_log(database: str) -> None:
    ahead, behind = StillClock(NEW_YEAR), StillClock(NEW_YEAR)
    ahead.tick(-1)
    behind.tick(-1)
    async with appending(database, behind) as slow, appending(database, ahead) as fast:
        await slow.append(note("old"))
        ahead.tick(1)
        await fast.append(note("turns"))
        (receipt,) = await slow.append(note("late"))
        assert receipt.origin.endswith("/2027") and receipt.ts == to_ms(NEW_YEAR)
    assert len((await check_log(database, 2026)).entries) == 2


async def test_the_old_log_does_not_grow_once_the_new_one_names_its_end(database: str) -> None:
    """One process waits for the lock, with a clock before midnight, while another opens the new year's log."""
    behind, ahead = StillClock(NEW_YEAR), StillClock(NEW_YEAR)
    behind.tick(-1)
    ahead.tick(-1)
    ledger = failing(database)
    async with appending(database, behind) as slow, appending(ledger, ahead) as fast:
        await slow.append(note("old"))
        ahead.tick(1)
        ledger.holding = asyncio.Event()
        turning = fast.append(note("turns"))
        await ledger.held.wait()
        late = slow.append(note("late"))
        await asyncio.sleep(0.2)
        ledger.holding.set()
        await turning
        (receipt,) = await late
        assert receipt.origin.endswith("/2027")
    old, new = await check_log(database, 2026), await check_log(database, 2027)
    opening = new.leaves[0]
    assert isinstance(opening, Open) and int(opening.prev.split(" ")[1]) == len(old.entries)


async def test_two_processes_turn_the_year_together(database: str) -> None:
    clock = StillClock(NEW_YEAR)
    clock.tick(-1)
    async with appending(database, clock) as one, appending(database, clock) as two:
        await asyncio.gather(one.append(note("a")), two.append(note("b")))
        clock.tick(1)
        await asyncio.gather(*[each.append(note("c")) for each in (one, two) for _ in range(5)])
    assert (await check_log(database, 2027)).kinds() == ["OPEN", *["BANK"] * 10]
    assert len((await check_log(database, 2026)).entries) == 3


async def test_a_year_that_could_not_be_opened_is_opened_by_the_next_act(database: str) -> None:
    clock = StillClock(NEW_YEAR)
    clock.tick(-1)
    ledger = failing(database)
    async with appending(ledger, clock) as appender:
        await appender.append(note("old"))
        clock.tick(1)
        ledger.plan.append(Fault("commit", done=False))
        (found,) = await asyncio.gather(appender.append(note("lost")), return_exceptions=True)
        assert isinstance(found, JournalUnavailable) and not isinstance(found, Halted)
        await appender.append(note("kept"))
    assert (await check_log(database, 2027)).kinds() == ["OPEN", "BANK"]


# ------------------------------------------------------------------------------------------------- outages


@pytest.mark.postgres
@pytest.mark.serial
@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_while_postgres_is_away_everybody_is_refused_and_afterwards_served(
    postgres: PostgresServer, postgres_database: str, clock: StillClock, how: str
) -> None:
    answered: list[bytes] = []
    async with appending(postgres_database, clock) as appender:
        await appender.append(note("before"))
        traffic = asyncio.create_task(_traffic(appender, answered))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(getattr(postgres, how))
        for _ in range(3):
            async with asyncio.timeout(10):
                found = await asyncio.gather(*[appender.append(note("away")) for _ in range(5)], return_exceptions=True)
            assert all(isinstance(each, JournalUnavailable) for each in found), found
            assert not appender.halted
        await asyncio.to_thread(postgres.start)
        async with asyncio.timeout(10):
            while isinstance(
                (await asyncio.gather(appender.append(note("after")), return_exceptions=True))[0], Exception
            ):
                await asyncio.sleep(0.05)
        traffic.cancel()
        await asyncio.gather(traffic, return_exceptions=True)
    log = await check_log(postgres_database)
    assert answered and set(answered) <= {entry.leaf for entry in log.entries}
    assert [getattr(leaf, "act", "") for leaf in log.leaves][-1] != "away"


async def _traffic(appender: Appender, answered: list[bytes]) -> None:
    while True:
        found = await asyncio.gather(*[appender.append(note("load")) for _ in range(4)], return_exceptions=True)
        answered += [each[0].leaf for each in found if isinstance(each, tuple)]
        await asyncio.sleep(0.001)


async def test_another_process_that_holds_the_lock_too_long_costs_a_refusal_not_the_process(
    sqlite_database: str, clock: StillClock
) -> None:
    ledger = FailingSqlite(sqlite_database.removeprefix("sqlite:///"))
    async with appending(ledger, clock) as appender:
        await ledger.pragma("busy_timeout = 100")
        async with outside(sqlite_database) as other:
            await other.execute(text("UPDATE journal_head SET last_ts = last_ts"))
            (found,) = await asyncio.gather(appender.append(note("refused")), return_exceptions=True)
            assert isinstance(found, JournalUnavailable)
        await appender.append(note("served"))
    assert len((await check_log(sqlite_database)).entries) == 2


async def test_a_full_disk_refuses_and_room_is_used_again(sqlite_database: str, clock: StillClock) -> None:
    ledger = FailingSqlite(sqlite_database.removeprefix("sqlite:///"))
    async with appending(ledger, clock) as appender:
        pages = await ledger.pragma("page_count")
        assert await ledger.pragma(f"max_page_count = {pages}") == pages
        found = await asyncio.gather(*[appender.append(note("n" * 400)) for _ in range(40)], return_exceptions=True)
        assert {type(each) for each in found} <= {tuple, JournalUnavailable} and JournalUnavailable in map(type, found)
        found = await asyncio.gather(*[appender.append(note("n" * 400)) for _ in range(40)], return_exceptions=True)
        assert all(isinstance(each, JournalUnavailable) for each in found), "full is full"
        assert not appender.halted
        await ledger.pragma("max_page_count = 100000")
        await appender.append(note("room"))
    assert getattr((await check_log(sqlite_database)).leaves[-1], "act", "") == "room"
