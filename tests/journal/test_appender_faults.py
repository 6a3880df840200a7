"""The appender when something fails: what was answered is in the log, what is in doubt is not answered, doubt halts.

Every step fails once before and once after it was done, on both databases; afterwards the log is re-derived.
"""

import asyncio
from collections.abc import AsyncIterator
from itertools import product

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from consent.enterprise import issue_fictitious
from consent.evidence import Evidence, Kind
from consent.signatory import Enterprise as EnterpriseRow
from node.journal.act import Act, Insert, JournalUnavailable, Receipt
from node.journal.appender import Appender
from node.journal.errors import Unproven
from node.journal.standing import Halted
from tests.faults.journal import StillClock, appending, check_log, execute, make_appender, note, outside
from tests.faults.ledgers import STEPS, FailingPostgres, FailingSqlite, Fault, failing

Ledger = FailingSqlite | FailingPostgres
FAULTS = [Fault(step, done, lost) for step, done, lost in product(STEPS, (False, True), (False, True))]
ANSWER_S = 20.0


@pytest.fixture
async def ledger(database: str) -> Ledger:
    """A ledger that will fail on demand."""
    return failing(database)


@pytest.fixture
async def appender(ledger: Ledger, clock: StillClock) -> AsyncIterator[Appender]:
    """An appender on it, with two entries in the log."""
    async with appending(ledger, clock) as started:
        await started.append(note())
        yield started


async def outcome(appender: Appender, act: Act) -> tuple[Receipt, ...] | BaseException:
    """The answer to an act: receipts or what was raised; never silence."""
    async with asyncio.timeout(ANSWER_S):
        (found,) = await asyncio.gather(appender.append(act), return_exceptions=True)
    return found


async def outcomes(appender: Appender, acts: list[Act]) -> list[tuple[Receipt, ...] | BaseException]:
    """The answers to acts that were queued together."""
    async with asyncio.timeout(ANSWER_S):
        return await asyncio.gather(*[appender.append(act) for act in acts], return_exceptions=True)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
async def test_a_fault_answers_its_act_and_the_next_one_is_served(
    appender: Appender, ledger: Ledger, database: str, fault: Fault
) -> None:
    ledger.plan.append(fault)
    first = await outcome(appender, note("first"))
    second = await outcome(appender, note("second"))
    log = await check_log(database)
    acts = [getattr(leaf, "act", "") for leaf in log.leaves]
    assert isinstance(second, tuple) and acts[-1] == "second"
    if isinstance(first, tuple):
        assert acts == ["", "noted", "first", "second"]
    else:
        assert isinstance(first, JournalUnavailable) and not isinstance(first, Halted)
    assert isinstance(first, tuple) is (fault.step == "commit" and fault.done)


@pytest.mark.parametrize("fault", [f for f in FAULTS if f.step in ("write", "commit")], ids=str)
async def test_a_fault_in_a_batch_loses_nobody(appender: Appender, ledger: Ledger, database: str, fault: Fault) -> None:
    ledger.plan.append(fault)
    found = await outcomes(appender, [note(f"act-{n}") for n in range(6)])
    log = await check_log(database)
    present = {getattr(leaf, "act", "") for leaf in log.leaves}
    assert {f"act-{n}" for n, each in enumerate(found) if isinstance(each, tuple)} <= present
    assert all(isinstance(each, (tuple, JournalUnavailable)) for each in found)
    if fault.step == "commit" and fault.done:
        assert all(isinstance(each, tuple) for each in found), "it was persisted: all six are in the log and told so"


async def test_a_commit_in_doubt_is_not_taken_for_ours_when_another_stands_there(
    appender: Appender, ledger: Ledger, database: str, clock: StillClock
) -> None:
    """The commit was not persisted, and before we look another process has written at our index."""
    ledger.holding = asyncio.Event()
    ledger.plan.append(Fault("commit", done=False, lost=True))
    ours = appender.append(note("ours"))
    await ledger.held.wait()
    waiting = asyncio.create_task(_append_once(database, clock))
    await asyncio.sleep(0.05)
    ledger.holding.set()
    (found,) = await asyncio.gather(ours, return_exceptions=True)
    await waiting
    assert isinstance(found, JournalUnavailable)
    ledger.holding = None
    assert isinstance(await outcome(appender, note("next")), tuple)
    assert [getattr(leaf, "act", "") for leaf in (await check_log(database)).leaves] == ["", "noted", "theirs", "next"]


async def test_a_commit_that_is_still_under_way_when_its_connection_breaks_is_waited_for(
    appender: Appender, ledger: Ledger, database: str
) -> None:
    """It ends half a second later: its acts are answered as done and are not tried a second time."""
    ledger.late_s = 0.5
    found = await outcomes(appender, [note(f"act-{n}") for n in range(3)])
    assert all(isinstance(each, tuple) for each in found), found
    assert [getattr(leaf, "act", "") for leaf in (await check_log(database)).leaves[2:]] == ["act-0", "act-1", "act-2"]


async def _append_once(database: str, clock: StillClock) -> None:
    async with appending(database, clock) as other:
        await other.append(note("theirs"))


# ---------------------------------------------------------------------------------------------------- poison


def _poison(kind: str) -> Act:
    """An act that no store or no leaf can take."""
    evidence = Evidence(Kind.BANK, "node", None, {"act": "poison"})
    if kind == "row":
        broken = EnterpriseRow(code=str(issue_fictitious(5)), name="n")
        broken.name = None  # type: ignore[assignment]
        return Act((evidence,), (), (Insert(broken),))
    if kind == "type":
        broken = EnterpriseRow(code=str(issue_fictitious(5)), name="n")
        broken.name = object()  # type: ignore[assignment]
        return Act((evidence,), (), (Insert(broken),))
    if kind == "member":
        return Act((Evidence(Kind.BANK, "node", None, {"act": "back\\slash"}),))
    if kind == "schema":
        return Act((Evidence(Kind.BANK, "node", None, {"act": "a", "colour": "red"}),))
    if kind == "details":
        return Act((Evidence(Kind.BANK, "node", None, {"act": "a"}, {"set": {1j}}),))
    return Act((Evidence(Kind.BANK, "n" * 600, None, {"act": "a"}),))


@pytest.mark.parametrize("kind", ["row", "type", "member", "schema", "details", "length"])
async def test_a_poison_act_fails_alone(appender: Appender, database: str, kind: str) -> None:
    found = await outcomes(appender, [note("a"), _poison(kind), note("b"), note("c")])
    assert [type(each) for each in found] == [tuple, JournalUnavailable, tuple, tuple]
    assert isinstance(await outcome(appender, note("d")), tuple)
    log = await check_log(database)
    assert [getattr(leaf, "act", "") for leaf in log.leaves] == ["", "noted", "a", "b", "c", "d"]


@pytest.mark.postgres
async def test_a_value_too_long_for_its_column_fails_alone(postgres_database: str, clock: StillClock) -> None:
    async with appending(postgres_database, clock) as appender:
        long = Act((Evidence(Kind.BANK, "b" * 81, None, {"act": "a"}),))
        row = Act(note().evidence, (), (Insert(EnterpriseRow(code=str(issue_fictitious(5)), name="n" * 201)),))
        found = await outcomes(appender, [note("a"), long, note("b"), row, note("c")])
    assert [type(each) for each in found] == [tuple, JournalUnavailable, tuple, JournalUnavailable, tuple]
    assert (await check_log(postgres_database)).kinds() == ["OPEN", "BANK", "BANK", "BANK"]


async def test_an_enterprise_whose_key_is_broken_harms_no_other(
    appender: Appender, database: str, clock: StillClock
) -> None:
    one, two = issue_fictitious(1), issue_fictitious(2)
    await appender.append(note("a", one))
    await execute(database, "UPDATE journal_subject SET wrapped_key = :key", key=b"\x01broken")
    async with appending(database, clock) as fresh:  # one that does not remember the unwrapped key
        found = await outcomes(fresh, [note("b", one), note("c", two), note("d")])
    assert [type(each) for each in found] == [JournalUnavailable, tuple, tuple]


# ------------------------------------------------------------------------------------------------------ halt


async def test_a_writer_without_the_lock_is_met_by_a_halt(
    appender: Appender, ledger: Ledger, database: str, clock: StillClock
) -> None:
    """The store hands out an old head: the compare-and-swap finds no row, nothing is released, the process stops."""
    ledger.stale = await ledger.lock()
    await ledger.rollback()
    await _append_once(database, clock)
    found = await outcomes(appender, [note("a"), note("b")])
    assert all(isinstance(each, Halted) for each in found)
    assert appender.halted.startswith("HeadMoved")
    ledger.stale = None
    with pytest.raises(Halted):
        appender.append(note())
    assert (await check_log(database)).kinds() == ["OPEN", "BANK", "BANK"]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal_head SET size = size + 1",
        "UPDATE journal_head SET size = size - 1",
        "UPDATE journal_head SET root = :root",
        "UPDATE journal_head SET size = 0, root = :none",
        "DELETE FROM journal_head",
    ],
)
async def test_a_head_changed_behind_our_back_halts_and_refuses_to_boot(
    appender: Appender, database: str, clock: StillClock, statement: str
) -> None:
    values = {"root": b"\x11" * 32} if ":root" in statement else {"none": b""} if ":none" in statement else {}
    await execute(database, statement, **values)
    found = await outcomes(appender, [note("a"), note("b")])
    assert all(isinstance(each, Halted) for each in found), found
    if "DELETE" not in statement and "size = 0" not in statement:
        await _refuses_to_boot(database, clock)


async def _refuses_to_boot(database: str, clock: StillClock) -> None:
    """A refused boot raises, and neither holds the lock nor leaves a connection behind."""
    fresh = make_appender(database, clock)
    with pytest.raises((Halted, Unproven)):
        await fresh.start()
    await execute(database, "UPDATE journal_head SET last_ts = last_ts")


async def test_a_store_that_lost_committed_entries_halts_the_process_that_gave_receipts_for_them(
    database: str, clock: StillClock
) -> None:
    """A backup is put back, or a standby takes over that lags: our receipts would be forked off."""
    ledger = failing(database)
    async with appending(ledger, clock) as appender:
        await appender.append(note("a"))
        saved = await ledger.lock()
        await ledger.rollback()
        await appender.append(note("b"))
        await _forget_entries(database, saved.size, saved.root)
        ledger.plan.append(Fault("lock", done=True, lost=True))  # the connection breaks as it would at a failover
        assert isinstance(await outcome(appender, note("c")), JournalUnavailable)
        assert isinstance(await outcome(appender, note("d")), Halted)


async def _forget_entries(database: str, size: int, root: bytes) -> None:
    """Put the log back to a size, as an old backup would."""
    async with outside(database) as connection:
        await _drop_guards(connection, "entry", "checkpoint")
        await connection.execute(text("DELETE FROM journal_entry WHERE idx >= :size"), {"size": size})
        await connection.execute(text("DELETE FROM journal_checkpoint WHERE size > :size"), {"size": size})
        await connection.execute(
            text("UPDATE journal_head SET size = :size, root = :root"), {"size": size, "root": root}
        )


async def _drop_guards(connection: AsyncConnection, *tables: str) -> None:
    """What a database administrator can do: put the triggers out of the way."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SET session_replication_role = replica"))
        return
    for table in tables:
        await connection.execute(text(f"DROP TRIGGER journal_{table}_no_delete"))


async def test_a_lost_leaf_or_tile_refuses_to_boot(database: str, clock: StillClock) -> None:
    async with appending(database, clock) as appender:
        for _ in range(3):
            await asyncio.gather(*[appender.append(note()) for _ in range(100)])
    await check_log(database)
    async with outside(database) as connection:
        await _drop_guards(connection, "tile")
        await connection.execute(text("DELETE FROM journal_tile"))
    await _refuses_to_boot(database, clock)


@pytest.mark.parametrize(("seconds", "halts"), [(-5, False), (-5.001, True)])
async def test_a_clock_that_runs_backwards_halts(
    appender: Appender, database: str, clock: StillClock, seconds: float, halts: bool
) -> None:
    clock.tick(seconds)
    found = await outcome(appender, note("late"))
    assert isinstance(found, Halted) is halts
    log = await check_log(database)
    assert log.entries[-1].ts == log.entries[0].ts, "time in the log stands still rather than run back"
    if halts:
        await _refuses_to_boot(database, clock)


async def test_waiting_for_the_lock_is_not_a_clock_that_runs_backwards(
    appender: Appender, database: str, clock: StillClock
) -> None:
    """Another process holds the lock for eight seconds and writes at the end of them."""
    async with outside(database) as other:
        await other.execute(text("UPDATE journal_head SET last_ts = last_ts + 8000"))
        waiting = appender.append(note("waited"))
        await asyncio.sleep(0.1)
        clock.tick(8)
    (found,) = await asyncio.gather(waiting, return_exceptions=True)
    assert isinstance(found, tuple), found


async def test_a_halt_among_acts_tried_one_by_one_answers_all_of_them(
    appender: Appender, ledger: Ledger, clock: StillClock, database: str
) -> None:
    ledger.plan += [Fault("write", done=False), Fault("commit", done=False, lost=True)]
    futures = [appender.append(note(f"act-{n}")) for n in range(4)]
    await asyncio.sleep(0)
    clock.tick(-60)
    async with asyncio.timeout(ANSWER_S):
        found = await asyncio.gather(*futures, return_exceptions=True)
    assert all(isinstance(each, JournalUnavailable) for each in found)
    assert appender.halted
    assert (await check_log(database)).kinds() == ["OPEN", "BANK"], "nothing was written after the halt"


# ------------------------------------------------------------------------------------------------------ stop


async def test_stopping_answers_what_is_under_way(database: str, clock: StillClock) -> None:
    appender = make_appender(database, clock)
    await appender.start()
    futures = [appender.append(note(f"act-{n}")) for n in range(20)]
    await asyncio.sleep(0.001)
    await appender.stop()
    async with asyncio.timeout(1):
        found = await asyncio.gather(*futures, return_exceptions=True)
    assert all(isinstance(each, tuple) for each in found), found
    assert len((await check_log(database)).entries) == 21


async def test_stopping_does_not_wait_for_a_commit_that_never_ends(sqlite_database: str, clock: StillClock) -> None:
    ledger = failing(sqlite_database)
    appender = make_appender(ledger, clock)
    await appender.start()
    ledger.holding = asyncio.Event()
    futures = [appender.append(note()) for _ in range(3)]
    await ledger.held.wait()
    futures += [appender.append(note()) for _ in range(3)]
    async with asyncio.timeout(8):
        await appender.stop()
        found = await asyncio.gather(*futures, return_exceptions=True)
    assert all(isinstance(each, JournalUnavailable) for each in found)


async def test_nothing_is_queued_after_the_end(database: str, clock: StillClock) -> None:
    async with appending(database, clock) as appender:
        pass
    with pytest.raises(JournalUnavailable):
        appender.append(note())
