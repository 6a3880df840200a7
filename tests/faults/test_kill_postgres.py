"""SIGKILL of PostgreSQL under load, again and again: the node refuses meanwhile, lives on, and has promised nothing
lost.
"""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from node.clock import utc_now
from tests.faults.journal import appending, check_log
from tests.faults.load import Line, Load, ask, check_answers, enrol
from tests.node_process import DepartmentsProcess, NodeProcess, ending, this_year
from tests.people import Bank

if TYPE_CHECKING:
    from tests.postgres import PostgresServer

ROUNDS = 5
SEED = 20261123


@pytest.mark.serial
@pytest.mark.postgres
async def test_a_database_killed_under_load_has_kept_whatever_was_answered(
    postgres: PostgresServer,
    postgres_database: str,
    valkey: str,
    departments_process: DepartmentsProcess,
    tmp_path: Path,
) -> None:
    chance = random.Random(SEED)
    with ending(NodeProcess(tmp_path, postgres_database, valkey, departments_process.urls)) as node:
        bank = Bank(issuer=node.issuer)
        async with appending(postgres_database, utc_now) as appender:
            customers = await enrol(appender, bank)
        await asyncio.to_thread(node.start)
        load = Load(bank, customers, node.port)
        load.start()
        for _ in range(ROUNDS):
            await asyncio.sleep(chance.uniform(0.2, 0.8))
            await asyncio.to_thread(postgres.kill)
            await asyncio.sleep(chance.uniform(0.0, 0.5))
            await asyncio.to_thread(postgres.start)
            await _until_served(node, bank, customers)
        await load.stop()
        log = await check_log(postgres_database, this_year())
        assert check_answers(load.answers, log) > ROUNDS
        assert set(load.statuses) == {200, 503}, load.statuses
        refusals = {answer.whole["code"] for answer in load.answers if answer.status == 503}
        assert refusals <= {"audit.unavailable", "state.unavailable", "node.overloaded"}, refusals
        assert '"CRITICAL"' not in node.log_text
        assert node.stop() == 0


async def _until_served(node: NodeProcess, bank: Bank, customers: list) -> None:  # type: ignore[type-arg]
    line = Line(node.port)
    try:
        async with asyncio.timeout(20):
            while (await ask(line, bank, customers[0])).status != 200:
                await asyncio.sleep(0.05)
    finally:
        line.close()
