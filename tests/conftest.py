"""What every test may ask for: a database of either kind, Valkey, departments, a clock, people. Nothing else.

Servers start when the first test of a worker asks and end with its session. A test's database is a migrated copy.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from node import schema
from tests.faults.journal import StillClock
from tests.people import Bank, Enterprise

if TYPE_CHECKING:
    from tests.node_process import DepartmentsProcess
    from tests.postgres import PostgresServer, PrivateValkey

TEMPLATE = "migrated"


def run_apart(work: Coroutine[Any, Any, Any]) -> None:
    """Run a coroutine on a loop and a thread of its own: a fixture must not touch the loop of the test it serves."""
    with ThreadPoolExecutor(1) as pool:
        pool.submit(asyncio.run, work).result()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """The server, with a migrated database to copy. Named where a test stops it, kills it or counts on it."""
    from tests.postgres import PostgresServer

    server = PostgresServer()
    try:
        server.start()
        server.sql(f"CREATE DATABASE {TEMPLATE}")
        run_apart(schema.migrate(server.url(TEMPLATE)))
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file at the newest revision, to copy."""
    path = tmp_path_factory.mktemp("template") / "node.db"
    run_apart(schema.migrate(f"sqlite:///{path}"))
    return path


@pytest.fixture
def sqlite_database(migrated_file: Path, tmp_path: Path) -> str:
    """The URL of a fresh migrated SQLite file."""
    shutil.copyfile(migrated_file, tmp_path / "node.db")
    return f"sqlite:///{tmp_path / 'node.db'}"


@pytest.fixture
def postgres_database(postgres: PostgresServer) -> Iterator[str]:
    """The URL of a fresh migrated PostgreSQL database."""
    url = postgres.database(TEMPLATE)
    yield url
    postgres.drop(url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database(request: pytest.FixtureRequest) -> str:
    """A fresh migrated database of each kind: a rule holds on both."""
    url: str = request.getfixturevalue(f"{request.param}_database")
    return url


@pytest.fixture(scope="session")
def valkey_server() -> Iterator[PrivateValkey]:
    from tests.postgres import PrivateValkey

    server = PrivateValkey()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def valkey(valkey_server: PrivateValkey) -> str:
    """The URL of an empty Valkey."""
    valkey_server.flush()
    return valkey_server.url


@pytest.fixture(scope="session")
def departments_process() -> Iterator[DepartmentsProcess]:
    """The four sandbox departments in a process of their own."""
    from tests.node_process import DepartmentsProcess

    process = DepartmentsProcess()
    yield process
    process.close()


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def bank() -> Bank:
    return Bank()


@pytest.fixture
def enterprise() -> Enterprise:
    return Enterprise()
