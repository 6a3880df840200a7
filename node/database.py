"""Database access: one async engine per process for reads, administration and consent pages.

The hot path and every write go through the journal's ledger instead, on a connection of their own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from node.errors import StoreUnavailable

Row = TypeVar("Row")
BUSY_TIMEOUT_MS = 5_000


def engine_url(database: str) -> str:
    """The SQLAlchemy URL with its async driver for a `sqlite:///FILE` or `postgresql://…` setting."""
    if database.startswith("sqlite:///"):
        return "sqlite+aiosqlite:///" + database.removeprefix("sqlite:///")
    return "postgresql+asyncpg://" + database.removeprefix("postgresql://")


def make_engine(database: str) -> AsyncEngine:
    """An engine; nothing is opened until the first use."""
    engine = create_async_engine(engine_url(database), pool_pre_ping=not database.startswith("sqlite"))
    if database.startswith("sqlite"):
        event.listen(engine.sync_engine, "connect", _sqlite_pragmas)
    return engine


def _sqlite_pragmas(connection: Any, _record: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    cursor.close()


class Reader:
    """Reads our stores by SQLModel: never inside the hot path, never writing."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._sessions = async_sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)

    async def all(self, statement: SelectOfScalar[Row]) -> Sequence[Row]:
        """Every row of a select."""
        async with self._session() as session:
            return (await session.exec(statement)).all()

    async def first(self, statement: SelectOfScalar[Row]) -> Row | None:
        """The first row of a select, or None."""
        async with self._session() as session:
            return (await session.exec(statement)).first()

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[AsyncSession]:
        # asyncpg's refused connection reaches us as the bare OSError, everything later as a DBAPIError.
        try:
            async with self._sessions() as session:
                yield session
        except (DBAPIError, OSError, TimeoutError) as error:
            raise StoreUnavailable(type(error).__name__) from error
