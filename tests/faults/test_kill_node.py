"""SIGKILL of a node under load, at random points: no answer without its entry, a log that re-derives, a boot that
passes.

The points are drawn with a seed; twenty rounds, ten on each database, the two side by side because a boot is what takes
the time. The databases, Valkey and the departments live on.
"""

import asyncio
import random
from pathlib import Path

import pytest

from node.clock import utc_now
from tests.faults.journal import appending, check_log
from tests.faults.load import Load, check_answers, enrol
from tests.node_process import DepartmentsProcess, NodeProcess, ending, this_year
from tests.people import Bank

ROUNDS = 10
SEED = 20261123


@pytest.mark.serial
@pytest.mark.postgres
@pytest.mark.timeout(180)
async def test_a_node_killed_under_load_has_answered_nothing_that_is_not_in_the_log(
    sqlite_database: str,
    postgres_database: str,
    valkey: str,
    departments_process: DepartmentsProcess,
    tmp_path: Path,
) -> None:
    async with asyncio.TaskGroup() as group:
        for database in (sqlite_database, postgres_database):
            folder = tmp_path / database.partition(":")[0]
            folder.mkdir()
            group.create_task(_rounds(NodeProcess(folder, database, valkey, departments_process.urls)))


async def _rounds(node: NodeProcess) -> None:
    chance = random.Random(f"{SEED}-{node.database[:6]}")
    bank = Bank(issuer=node.issuer)
    given = logged = 0
    with ending(node):
        async with appending(node.database, utc_now) as appender:
            customers = await enrol(appender, bank)
        for _ in range(ROUNDS):
            await asyncio.to_thread(node.start)
            load = Load(bank, customers, node.port)
            load.start()
            await asyncio.sleep(chance.uniform(0.05, 0.7))
            node.kill()
            await asyncio.sleep(0.05)  # what the kernel still holds of an answer is read too
            await load.stop()
            log = await check_log(node.database, this_year())
            given += check_answers(load.answers, log)
            assert set(load.statuses) <= {0, 200}, load.statuses
            logged = len(log.of("REL"))
        assert given >= ROUNDS, "the load was real"
        assert given <= logged
        assert '"CRITICAL"' not in node.log_text
