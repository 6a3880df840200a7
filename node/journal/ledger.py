"""The ledger: the one place where journal, grants and counters change, in one transaction under one lock.

Contract of every implementation (SQLite and PostgreSQL):
- `lock` begins a transaction and locks the newest head row; nobody else passes it until commit or rollback. What
  `look` reads afterwards is the newest committed state.
- `write` is all or nothing with everything else in the transaction; it raises HeadMoved unless exactly one head row
  had the expected size.
- `commit` returns only after the data is durable (fsync). When it raises, the outcome is unknown until `leaf_hashes`
  is asked on a fresh connection.
- One caller at a time: the appender's loop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from sqlmodel import SQLModel


class HeadMoved(Exception):
    """The head row did not have the size we hold the lock on: a second writer without the lock. The node must halt."""


class LedgerFault(Exception):
    """The store could not do it (connection lost, disk full, constraint). `lost` tells that the outcome is unknown."""

    def __init__(self, cause: BaseException, *, lost: bool = False) -> None:
        super().__init__(type(cause).__name__)
        self.lost = lost
        self.__cause__ = cause


class HeadRow(NamedTuple):
    """The locked row."""

    log_year: int
    origin: str
    size: int
    root: bytes
    last_ts: int


@dataclass(slots=True)
class GrantRow:
    """What guards need of a grant; changed in memory as a batch proceeds."""

    version: int
    status: str
    not_before_ms: int
    not_after_ms: int
    max_queries: int
    used: int


@dataclass(slots=True)
class TokenRow:
    """What guards need of a token."""

    grant_id: str
    expires_ms: int
    ended_ms: int


@dataclass(slots=True)
class SubjectRow:
    """An enterprise in this year's log."""

    pseudonym: str
    counter: int
    wrapped_key: bytes


class Wanted(NamedTuple):
    """What a batch needs to know: ids of grants, hashes of tokens, enterprise codes, (client_id, key) pairs."""

    log_year: int
    grants: list[str]
    tokens: list[str]
    subjects: list[str]
    keys: list[tuple[str, str]]


@dataclass(slots=True)
class Found:
    """What stood in the store, under the lock."""

    grants: dict[str, GrantRow] = field(default_factory=dict)
    tokens: dict[str, TokenRow] = field(default_factory=dict)
    subjects: dict[str, SubjectRow] = field(default_factory=dict)
    keys: set[tuple[str, str]] = field(default_factory=set)


class EntryRow(NamedTuple):
    """One row of journal_entry, less its year."""

    idx: int
    ts: int
    kind: str
    org: str
    sub: str
    seq: int
    grant_id: str
    req: str
    leaf_hash: bytes
    leaf: bytes
    salt: bytes
    sealed: bytes


@dataclass(slots=True)
class Writes:
    """Everything a batch changes. `tiles` (level, n, data); `subjects` code → row; `keys` and `answers` for repeats."""

    head: HeadRow
    size: int
    root: bytes
    ts: int
    note: str
    entries: list[EntryRow]
    tiles: Sequence[tuple[int, int, bytes]]
    subjects: dict[str, SubjectRow] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    keys: list[tuple[str, str, str, str, int]] = field(default_factory=list)
    answers: list[tuple[str, str, bytes]] = field(default_factory=list)
    ended_grants: list[tuple[str, int, str, str]] = field(default_factory=list)
    ended_tokens: list[str] = field(default_factory=list)
    statuses: list[tuple[str, str]] = field(default_factory=list)
    counted: list[tuple[str, int]] = field(default_factory=list)


class Ledger(Protocol):
    """See the module's contract."""

    async def open(self) -> None:
        """Connect. Raises LedgerFault."""

    async def close(self) -> None:
        """Disconnect; never raises."""

    async def lock(self) -> HeadRow | None:
        """BEGIN and lock the newest head; None when no log was ever opened (the transaction stays open)."""

    async def new_log(self, log_year: int, origin: str) -> HeadRow:
        """Insert the empty head of a year inside the open transaction."""

    async def look(self, wanted: Wanted) -> Found:
        """Read what guards and counters need."""

    async def insert(self, rows: Sequence[SQLModel]) -> bool:
        """Insert rows of other tables, all or none; False when the key of one exists already."""

    async def write(self, writes: Writes) -> None:
        """Write the batch. Raises HeadMoved."""

    async def commit(self) -> None:
        """Make it durable."""

    async def rollback(self) -> None:
        """Undo; never raises."""

    async def leaf_hashes(self, log_year: int, start: int, end: int) -> list[bytes]:
        """Leaf hashes of entries start <= idx < end, in order."""

    async def leaves(self, log_year: int, start: int, end: int) -> list[tuple[bytes, bytes]]:
        """Leaf hash and leaf of entries start <= idx < end, in order."""

    async def tile(self, log_year: int, level: int, n: int) -> bytes | None:
        """A full tile."""

    async def last_head(self, before_year: int) -> HeadRow | None:
        """The head of the newest log before a year."""


def insert_parts(row: SQLModel) -> tuple[str, list[str], list[Any]]:
    """Table name, column names and values of a row to insert."""
    table = type(row).__table__  # type: ignore[attr-defined]
    names = [column.name for column in table.columns]
    return table.name, names, [getattr(row, name) for name in names]
