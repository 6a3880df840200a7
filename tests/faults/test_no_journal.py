"""While the journal cannot commit nothing is released, and no department is even asked (law 1).

PostgreSQL is stopped; SQLite's disk is full (the process may write no further byte to any file) or its lock is held.
"""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from node.clock import utc_now
from tests.faults.journal import appending, check_log
from tests.faults.load import Answer, Customer, Line, ask, check_answers, enrol
from tests.node_process import DepartmentsProcess, NodeProcess, ending, this_year
from tests.people import Bank

if TYPE_CHECKING:
    from tests.postgres import PostgresServer

pytestmark = pytest.mark.serial
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


class Scene:
    """A running node, a bank, a customer, a line."""

    def __init__(self, node: NodeProcess, departments: DepartmentsProcess, bank: Bank, customer: Customer) -> None:
        self.node, self.departments, self.bank, self.customer = node, departments, bank, customer
        self.line = Line(node.port)
        self.answers: list[Answer] = []

    async def ask(self, line: Line | None = None) -> Answer:
        """One query, kept."""
        async with asyncio.timeout(30):
            answer = await ask(line or self.line, self.bank, self.customer)
        self.answers.append(answer)
        return answer

    async def refused(self) -> None:
        """A query now gets 503, says that it may be tried again, and carries nothing; no department hears of it."""
        before = self.departments.asked()
        answer = await self.ask()
        assert (answer.status, answer.whole["code"], answer.whole["retryable"]) == (503, "audit.unavailable", True)
        assert b"records" not in answer.body and b"receipt" not in answer.body
        assert self.departments.asked() == before

    async def served(self) -> None:
        """A query gets its data, soon at the latest."""
        async with asyncio.timeout(15):
            while (await self.ask()).status != 200:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def scene(folder: Path, database: str, valkey: str, departments: DepartmentsProcess) -> AsyncIterator[Scene]:
    """Set up, and at the end check the log and every answer against it."""
    with ending(NodeProcess(folder, database, valkey, departments.urls)) as node:
        bank = Bank(issuer=node.issuer)
        async with appending(database, utc_now) as appender:
            (customer,) = await enrol(appender, bank, customers=1)
        await asyncio.to_thread(node.start)
        made = Scene(node, departments, bank, customer)
        try:
            await made.served()
            yield made
        finally:
            made.line.close()
        log = await check_log(database, this_year())
        assert check_answers(made.answers, log) > 1
        assert '"CRITICAL"' not in node.log_text


@pytest.mark.postgres
async def test_without_postgres_nothing_is_asked_and_nothing_leaves(
    postgres: PostgresServer,
    postgres_database: str,
    valkey: str,
    departments_process: DepartmentsProcess,
    tmp_path: Path,
) -> None:
    async with scene(tmp_path, postgres_database, valkey, departments_process) as act:
        await asyncio.to_thread(postgres.stop)
        try:
            for _ in range(3):
                await act.refused()
        finally:
            await asyncio.to_thread(postgres.start)
        await act.served()


@pytest.mark.postgres
async def test_without_postgres_for_longer_than_anything_is_remembered_the_answer_is_the_same(
    postgres: PostgresServer,
    postgres_database: str,
    valkey: str,
    departments_process: DepartmentsProcess,
    tmp_path: Path,
) -> None:
    """A bank is remembered for a second; after that its row cannot be read either."""
    async with scene(tmp_path, postgres_database, valkey, departments_process) as act:
        await asyncio.to_thread(postgres.stop)
        try:
            await asyncio.sleep(1.2)
            before = act.departments.asked()
            answer = await act.ask()
            assert answer.status == 503 and answer.whole["retryable"], answer
            assert act.departments.asked() == before
            log = await asyncio.to_thread(httpx.get, f"{act.node.url}/log/{this_year()}/checkpoint", trust_env=False)
            assert log.status_code == 503, "the log's own door says so too"
        finally:
            await asyncio.to_thread(postgres.start)
        await act.served()


async def test_on_a_full_disk_nothing_is_asked_and_nothing_leaves(
    sqlite_database: str, valkey: str, departments_process: DepartmentsProcess, tmp_path: Path
) -> None:
    async with scene(tmp_path, sqlite_database, valkey, departments_process) as act:
        pid = act.node.pid
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        for _ in range(3):
            await act.refused()
        resource.prlimit(pid, resource.RLIMIT_FSIZE, UNLIMITED)
        await act.served()


async def test_while_another_process_holds_the_lock_no_department_is_asked(
    sqlite_database: str, valkey: str, departments_process: DepartmentsProcess, tmp_path: Path
) -> None:
    async with scene(tmp_path, sqlite_database, valkey, departments_process) as act:
        before = act.departments.asked()
        holder = sqlite3.connect(sqlite_database.removeprefix("sqlite:///"), isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        waiting = asyncio.create_task(act.ask())
        await asyncio.sleep(0.5)
        assert not waiting.done() and act.departments.asked() == before
        holder.execute("ROLLBACK")
        holder.close()
        assert (await waiting).status == 200
        assert act.departments.asked() > before


@pytest.mark.postgres
async def test_what_the_departments_gave_is_dropped_when_its_release_cannot_be_recorded(
    postgres: PostgresServer,
    postgres_database: str,
    valkey: str,
    departments_process: DepartmentsProcess,
    tmp_path: Path,
) -> None:
    """PostgreSQL goes away between REQ and REL: the departments have answered, the bank gets nothing."""
    async with scene(tmp_path, postgres_database, valkey, departments_process) as act:
        await _dropped(act, postgres.stop)
        await asyncio.to_thread(postgres.start)
        await act.served()
        await _one_is_open(postgres_database)


async def test_what_the_departments_gave_is_dropped_when_the_disk_is_full_by_then(
    sqlite_database: str, valkey: str, departments_process: DepartmentsProcess, tmp_path: Path
) -> None:
    async with scene(tmp_path, sqlite_database, valkey, departments_process) as act:
        full = (0, resource.RLIM_INFINITY)
        await _dropped(act, lambda: resource.prlimit(act.node.pid, resource.RLIMIT_FSIZE, full))
        resource.prlimit(act.node.pid, resource.RLIMIT_FSIZE, UNLIMITED)
        await act.served()
        await _one_is_open(sqlite_database)


async def _dropped(act: Scene, break_it: Callable[[], object]) -> None:
    before = act.departments.asked()
    act.departments.fault("*", "slow", 0.8)
    try:
        waiting = asyncio.create_task(act.ask())
        async with asyncio.timeout(10):
            while act.departments.asked() == before:
                await asyncio.sleep(0.01)
        await asyncio.to_thread(break_it)
        answer = await waiting
    finally:
        act.departments.fault("*", "none")
    assert (answer.status, answer.whole["code"]) == (503, "audit.unavailable")
    assert b"records" not in answer.body


async def _one_is_open(database: str) -> None:
    log = await check_log(database, this_year())
    assert len(log.laws.open) == 1, "the query that was admitted and not released shows"
