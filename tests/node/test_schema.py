"""Migrations: one history for both databases, the tables as the code has them, and no serving on another revision."""

import asyncio
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from node import schema
from node.database import make_engine
from tests.faults.journal import execute
from tests.postgres import PostgresServer

ROOT = Path(__file__).parents[2]


async def test_the_tables_are_what_the_code_says(database: str) -> None:
    def compare(connection: Connection) -> None:
        config = schema.alembic_config()
        config.attributes["connection"] = connection
        command.check(config)
        assert set(inspect(connection).get_table_names()) == set(schema.metadata().tables) | {"alembic_version"}

    engine = make_engine(database)
    async with engine.connect() as connection:
        await connection.run_sync(compare)
    await engine.dispose()
    await schema.check(database)


def test_the_history_is_one_line() -> None:
    script = ScriptDirectory.from_config(schema.alembic_config())
    assert len(script.get_heads()) == 1 and len(script.get_bases()) == 1


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that nobody migrated."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'empty.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.database()


async def test_an_unmigrated_database_is_refused_with_the_command_that_mends_it(empty: str) -> None:
    with pytest.raises(schema.NotMigrated, match="xyd migrate"):
        await schema.check(empty)
    await schema.migrate(empty)
    await schema.check(empty)
    await schema.migrate(empty)


async def test_a_database_of_a_later_program_is_refused(database: str) -> None:
    await execute(database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(schema.NotMigrated, match="9999"):
        await schema.check(database)


@pytest.mark.postgres
async def test_two_that_migrate_together_do_it_once(postgres: PostgresServer) -> None:
    url = postgres.database()
    program = f"import asyncio; from node import schema; asyncio.run(schema.migrate({url!r}))"
    processes = [await asyncio.create_subprocess_exec(sys.executable, "-c", program, cwd=ROOT) for _ in range(3)]
    assert [await process.wait() for process in processes] == [0, 0, 0]
    await schema.check(url)
    postgres.drop(url)


async def test_a_migration_leaves_what_is_there(database: str) -> None:
    await execute(database, "INSERT INTO enterprise (code, name) VALUES ('c', 'n')")
    await schema.migrate(database)
    engine = make_engine(database)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT name FROM enterprise"))).scalars().all() == ["n"]
    await engine.dispose()
