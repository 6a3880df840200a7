"""`xyd serve` as a process: it refuses rather than serve in doubt and ends in order; `xyd migrate` mends a refusal."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from node.clock import utc_now
from tests.faults.journal import appending, check_log, execute, note
from tests.faults.load import Load, check_answers, enrol
from tests.node_process import ROOT, DepartmentsProcess, NodeProcess, ending, this_year
from tests.people import Bank

pytestmark = pytest.mark.serial
REFUSE_S = 20


def exit_code(node: NodeProcess) -> int:
    """The code a process ends with that refuses to serve; it must not hang."""
    process = node.launch()
    try:
        return process.wait(REFUSE_S)
    except subprocess.TimeoutExpired:
        node.kill()
        pytest.fail(f"the node neither serves nor ends: {node.log_text[-2000:]}")


def test_an_unmigrated_database_is_refused_and_migrated_by_the_command(tmp_path: Path, valkey: str) -> None:
    with ending(NodeProcess(tmp_path, f"sqlite:///{tmp_path / 'node.db'}", valkey)) as node:
        assert exit_code(node) == 2
        assert "run xyd migrate" in node.log_text and "Traceback" not in node.log_text
        command = [sys.executable, "-m", "node", "migrate", "--config", str(node.config)]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        node.start()
        assert node.stop() == 0


async def test_a_tampered_log_is_not_served(database: str, valkey: str, tmp_path: Path) -> None:
    async with appending(database, utc_now) as appender:
        await appender.append(note())
    await execute(database, "UPDATE journal_head SET root = :root", root=b"\x11" * 32)
    with ending(NodeProcess(tmp_path, database, valkey)) as node:
        assert await asyncio.to_thread(exit_code, node) != 0
        critical = [line for line in node.log_text.splitlines() if '"CRITICAL"' in line]
        assert len(critical) == 1 and "the stored root is not the root" in critical[0]


def test_a_store_that_is_not_there_is_refused(tmp_path: Path, valkey: str) -> None:
    with ending(NodeProcess(tmp_path, "postgresql://xyd@127.0.0.1:1/none", valkey)) as node:
        assert exit_code(node) != 0


def test_a_node_that_says_it_is_ready_takes_calls(sqlite_database: str, valkey: str, tmp_path: Path) -> None:
    """A balancer that believes /readyz must not send a bank to a closed door."""
    with ending(NodeProcess(tmp_path, sqlite_database, valkey)) as node:
        node.launch()
        deadline = time.monotonic() + REFUSE_S
        while not node.ready() and time.monotonic() < deadline:
            time.sleep(0.002)
        assert node.takes_calls()


async def test_a_node_that_is_told_to_end_answers_what_is_under_way(
    sqlite_database: str, valkey: str, departments_process: DepartmentsProcess, tmp_path: Path
) -> None:
    with ending(NodeProcess(tmp_path, sqlite_database, valkey, departments_process.urls)) as node:
        bank = Bank(issuer=node.issuer)
        async with appending(sqlite_database, utc_now) as appender:
            customers = await enrol(appender, bank)
        await asyncio.to_thread(node.start)
        load = Load(bank, customers, node.port)
        load.start()
        await asyncio.sleep(0.5)
        assert await asyncio.to_thread(node.stop) == 0
        await asyncio.sleep(0.05)
        statuses = await load.stop()
        log = await check_log(sqlite_database, this_year())
        assert check_answers(load.answers, log) == len(log.of("REL")) > 3, "every release was delivered"
        assert log.laws.open == (), "no query was left half done"
        assert set(statuses) <= {0, 200}, statuses
        assert "Traceback" not in node.log_text
