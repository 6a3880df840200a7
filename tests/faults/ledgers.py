"""Our own ledgers with faults on demand: each step can fail before it was done or after it was, or wait to be let go.

The ledger beneath is the real one on a real database; only the moment and the kind of the failure are ours
(sunlight's `fail…AndNotPersist`, `fail…ButPersist`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from node.journal.ledger import Found, HeadRow, LedgerFault, Wanted, Writes
from node.journal.ledger_postgres import PostgresLedger
from node.journal.ledger_sqlite import SqliteLedger

STEPS = ("lock", "look", "write", "commit")


@dataclass(frozen=True)
class Fault:
    """What is to go wrong once: at which step, before or after the step was done, with the connection lost or not."""

    step: str
    done: bool
    lost: bool = False

    def __str__(self) -> str:
        return f"{self.step}-{'done' if self.done else 'not_done'}{'-lost' if self.lost else ''}"


class _Failing:
    """Mixed in before a real ledger."""

    _connection: Any

    def __init__(self, where: str) -> None:
        super().__init__(where)  # type: ignore[call-arg]
        self.plan: list[Fault] = []
        self.stale: HeadRow | None = None
        self.holding: asyncio.Event | None = None
        self.held = asyncio.Event()
        self.late_s = 0.0
        self.late: asyncio.Task[None] | None = None

    async def _step(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        fault = self.plan.pop(0) if self.plan and self.plan[0].step == name else None
        if fault is not None and not fault.done:
            raise LedgerFault(OSError("injected"), lost=fault.lost)
        result = await work()
        if fault is not None:
            raise LedgerFault(OSError("injected"), lost=fault.lost)
        return result

    async def lock(self) -> HeadRow | None:
        """With `stale` set: a head read long ago, as a store would give it that does not really lock."""
        head: HeadRow | None = await self._step("lock", super().lock)  # type: ignore[misc]
        return head if self.stale is None else self.stale

    async def look(self, wanted: Wanted) -> Found:
        """May fail."""
        found: Found = await self._step("look", lambda: super(_Failing, self).look(wanted))  # type: ignore[misc]
        return found

    async def write(self, writes: Writes) -> None:
        """May fail."""
        await self._step("write", lambda: super(_Failing, self).write(writes))  # type: ignore[misc]

    async def commit(self) -> None:
        """May fail, or wait for `holding`, or be carried out late, when nobody hears of it any more."""
        if self.late_s:
            connection, self._connection = self._connection, None
            self.late = asyncio.create_task(self._late(connection, self.late_s))
            self.late_s = 0.0
            raise LedgerFault(OSError("injected"), lost=True)
        if self.holding is not None:
            self.held.set()
            await self.holding.wait()
        await self._step("commit", super().commit)  # type: ignore[misc]

    async def _late(self, connection: Any, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await connection.execute("COMMIT")
        await connection.close()


class FailingSqlite(_Failing, SqliteLedger):
    """SQLite with faults."""

    async def pragma(self, words: str) -> int:
        """Set or read a limit of its connection; the value after that."""
        rows = await self._all(f"PRAGMA {words}")
        return int(rows[0][0])


class FailingPostgres(_Failing, PostgresLedger):
    """PostgreSQL with faults."""


def failing(database: str) -> FailingSqlite | FailingPostgres:
    """The failing ledger of a database."""
    if database.startswith("sqlite:///"):
        return FailingSqlite(database.removeprefix("sqlite:///"))
    return FailingPostgres(database)
