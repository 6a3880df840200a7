"""Rows by id for the hot path: what one loop tick asks for travels as one query on a connection of its own.

SQLModel costs 0.6 to 1.6 ms a use, one batched `= ANY` 10 µs a row (reference/performance.md §3), and the first query
under every token needs three rows. The columns come from the tables, so a row has the attributes of the table's class.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, Protocol

import aiosqlite
import asyncpg
from sqlmodel import SQLModel

from node.errors import StoreUnavailable

Fetch = Callable[[list[str]], Awaitable[dict[str, Any]]]


class RowsUnavailable(StoreUnavailable):
    """The store did not answer."""


class Rows(Protocol):
    """Rows of a table by the values of its key column."""

    async def by_key(self, table: type[SQLModel], key: str, values: list[str]) -> dict[str, Any]:
        """Found rows by key. Raises RowsUnavailable."""

    async def close(self) -> None:
        """Disconnect."""


class PostgresRows:
    """On PostgreSQL: one autocommitting connection, prepared statements, made again when it breaks."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: asyncpg.Connection[Any] | None = None
        self._turn = asyncio.Lock()

    async def by_key(self, table: type[SQLModel], key: str, values: list[str]) -> dict[str, Any]:
        """See Rows."""
        sql = f"SELECT {_columns(table)} FROM {_name(table)} WHERE {key} = ANY($1::text[])"  # noqa: S608 - our own names
        async with self._turn:
            try:
                if self._connection is None or self._connection.is_closed():
                    self._connection = await asyncpg.connect(self._dsn, timeout=5, command_timeout=5)
                found = await self._connection.fetch(sql, values)
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
                await self.close()
                raise RowsUnavailable from error
        return {row[key]: SimpleNamespace(**row) for row in found}

    async def close(self) -> None:
        """See Rows."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None


class SqliteRows:
    """On SQLite: one reading connection with a thread of its own."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: aiosqlite.Connection | None = None
        self._turn = asyncio.Lock()

    async def by_key(self, table: type[SQLModel], key: str, values: list[str]) -> dict[str, Any]:
        """See Rows."""
        sql = f"SELECT {_columns(table)} FROM {_name(table)} WHERE {key} IN (SELECT value FROM json_each(?))"  # noqa: S608
        async with self._turn:
            try:
                if self._connection is None:
                    self._connection = await aiosqlite.connect(self._path, isolation_level=None)
                    self._connection.row_factory = sqlite3.Row
                found = await self._connection.execute_fetchall(sql, (json.dumps(values),))
            except (sqlite3.Error, ValueError) as error:
                await self.close()
                raise RowsUnavailable from error
        return {row[key]: SimpleNamespace(**dict(row)) for row in found}

    async def close(self) -> None:
        """See Rows."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


def rows_of(database: str) -> Rows:
    """The rows of a database setting."""
    if database.startswith("sqlite:///"):
        return SqliteRows(database.removeprefix("sqlite:///"))
    return PostgresRows(database)


def _name(table: type[SQLModel]) -> str:
    return str(table.__tablename__)


def _columns(table: type[SQLModel]) -> str:
    return ", ".join(table.model_fields)


class Batched:
    """Collects the keys that one loop tick asks for, and asks the store once."""

    def __init__(self, rows: Rows, table: type[SQLModel], key: str) -> None:
        self._rows, self._table, self._key = rows, table, key
        self._waiting: dict[str, list[asyncio.Future[Any]]] = {}

    def get(self, value: str) -> asyncio.Future[Any]:
        """The row, or None. Await it; raises RowsUnavailable."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Any] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._send)
        self._waiting.setdefault(value, []).append(future)
        return future

    def _send(self) -> None:
        batch, self._waiting = self._waiting, {}
        task = asyncio.get_running_loop().create_task(self._ask(batch))
        task.add_done_callback(lambda done: done.exception())

    async def _ask(self, batch: dict[str, list[asyncio.Future[Any]]]) -> None:
        try:
            found = await self._rows.by_key(self._table, self._key, list(batch))
        except RowsUnavailable as error:
            for future in (each for waiting in batch.values() for each in waiting):
                if not future.done():
                    future.set_exception(RowsUnavailable(str(error)))
            return
        for value, waiting in batch.items():
            for future in waiting:
                if not future.done():
                    future.set_result(found.get(value))
