"""The ledger on SQLite: WAL, synchronous=FULL, BEGIN IMMEDIATE. For the embedded node; same contract, same
transaction.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

import aiosqlite
from sqlmodel import SQLModel

from node.journal.ledger import (
    Found,
    GrantRow,
    HeadMoved,
    HeadRow,
    LedgerFault,
    SubjectRow,
    TokenRow,
    Wanted,
    Writes,
    insert_parts,
)

_LOCK = "SELECT log_year, origin, size, root, last_ts FROM journal_head ORDER BY log_year DESC LIMIT 1"
_BEFORE = """SELECT log_year, origin, size, root, last_ts FROM journal_head WHERE log_year < ?
 ORDER BY log_year DESC LIMIT 1"""
_GRANTS = """SELECT id, version, status, not_before_ms, not_after_ms, max_queries, used FROM consent_grant
 WHERE id IN (SELECT value FROM json_each(?))"""
_TOKENS = "SELECT hash, grant_id, expires_ms, ended_ms FROM access_token WHERE hash IN (SELECT value FROM json_each(?))"
_SUBJECTS = """SELECT code, pseudonym, counter, wrapped_key FROM journal_subject
 WHERE log_year = ? AND code IN (SELECT value FROM json_each(?))"""
_KEY = "SELECT 1 FROM kept_answer WHERE client_id = ? AND key = ?"
_ENTRY = "INSERT INTO journal_entry VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_SUBJECT = """INSERT INTO journal_subject (log_year, code, pseudonym, counter, wrapped_key) VALUES (?, ?, ?, ?, ?)
 ON CONFLICT (log_year, code) DO UPDATE SET counter = excluded.counter"""
BUSY_TIMEOUT_S = 10.0


class SqliteLedger:
    """See `node.journal.ledger`."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._connection: aiosqlite.Connection | None = None

    async def open(self) -> None:
        """Open the file with durable commits; its thread keeps fsync off the event loop."""
        try:
            self._connection = await aiosqlite.connect(self._path, isolation_level=None, timeout=BUSY_TIMEOUT_S)
            for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
                await self._connection.execute(f"PRAGMA {pragma}")
        except sqlite3.Error as error:
            raise LedgerFault(error, lost=True) from error

    async def close(self) -> None:
        """Close the file."""
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    def _live(self) -> aiosqlite.Connection:
        if self._connection is None:
            raise LedgerFault(ConnectionError("not connected"), lost=True)
        return self._connection

    async def _all(self, sql: str, *args: Any) -> list[Any]:
        try:
            return list(await self._live().execute_fetchall(sql, args))
        except sqlite3.Error as error:
            raise LedgerFault(error) from error

    async def _many(self, sql: str, rows: Iterable[Any]) -> None:
        try:
            await self._live().executemany(sql, rows)
        except sqlite3.Error as error:
            raise LedgerFault(error) from error

    async def lock(self) -> HeadRow | None:
        """BEGIN IMMEDIATE takes the only write lock the file has."""
        await self._all("BEGIN IMMEDIATE")
        rows = await self._all(_LOCK)
        return HeadRow(*rows[0]) if rows else None

    async def new_log(self, log_year: int, origin: str) -> HeadRow:
        """The empty head of a year."""
        empty = HeadRow(log_year, origin, 0, b"", 0)
        await self._all("INSERT INTO journal_head VALUES (?, ?, ?, ?, ?)", *empty)
        return empty

    async def look(self, wanted: Wanted) -> Found:
        """Grants, tokens, subjects and keys, each only when asked for."""
        found = Found()
        if wanted.grants:
            for key, *rest in await self._all(_GRANTS, json.dumps(wanted.grants)):
                found.grants[key] = GrantRow(*rest)
        if wanted.tokens:
            for key, *rest in await self._all(_TOKENS, json.dumps(wanted.tokens)):
                found.tokens[key] = TokenRow(*rest)
        if wanted.subjects:
            for key, *rest in await self._all(_SUBJECTS, wanted.log_year, json.dumps(wanted.subjects)):
                found.subjects[key] = SubjectRow(*rest)
        for pair in wanted.keys:
            if await self._all(_KEY, *pair):
                found.keys.add(pair)
        return found

    async def insert(self, rows: Sequence[SQLModel]) -> bool:
        """ON CONFLICT DO NOTHING, so that a duplicate does not abort its neighbours; a savepoint around several."""
        if len(rows) > 1:
            await self._all("SAVEPOINT act")
        for row in rows:
            table, names, values = insert_parts(row)
            marks = ", ".join("?" for _ in names)
            sql = f'INSERT INTO "{table}" ({", ".join(names)}) VALUES ({marks}) ON CONFLICT DO NOTHING'  # noqa: S608
            try:
                cursor = await self._live().execute(sql, values)
            except sqlite3.Error as error:
                raise LedgerFault(error) from error
            if cursor.rowcount != 1:
                if len(rows) > 1:
                    await self._all("ROLLBACK TO act")
                return False
        return True

    async def write(self, writes: Writes) -> None:
        """The compare-and-swap first, then the batch."""
        year = writes.head.log_year
        try:
            cursor = await self._live().execute(
                "UPDATE journal_head SET size = ?, root = ?, last_ts = ? WHERE log_year = ? AND size = ?",
                (writes.size, writes.root, writes.ts, year, writes.head.size),
            )
        except sqlite3.Error as error:
            raise LedgerFault(error) from error
        if cursor.rowcount != 1:
            raise HeadMoved
        await self._many(_ENTRY, [(year, *entry) for entry in writes.entries])
        note = (year, writes.size, writes.ts, writes.root, writes.note)
        await self._many("INSERT INTO journal_checkpoint VALUES (?, ?, ?, ?, ?)", [note])
        await self._many("INSERT INTO journal_tile VALUES (?, ?, ?, ?)", [(year, *tile) for tile in writes.tiles])
        subjects = writes.subjects.items()
        await self._many(_SUBJECT, [(year, c, r.pseudonym, r.counter, r.wrapped_key) for c, r in subjects])
        used = [(n, key) for key, n in writes.used.items()]
        await self._many("UPDATE consent_grant SET used = used + ? WHERE id = ?", used)
        await self._many("INSERT INTO kept_answer VALUES (?, ?, ?, ?, ?, x'')", writes.keys)
        answers = [(sealed, client, key) for client, key, sealed in writes.answers]
        await self._many("UPDATE kept_answer SET sealed = ? WHERE client_id = ? AND key = ?", answers)
        await self._rare(writes)

    async def _rare(self, writes: Writes) -> None:
        ended = [(v, by, why, writes.ts, key) for key, v, by, why in writes.ended_grants]
        await self._many(
            "UPDATE consent_grant SET status = 'revoked', version = ?, ended_by = ?, ended_why = ?, ended_ms = ? "
            "WHERE id = ?",
            ended,
        )
        tokens = [(writes.ts, key) for key in writes.ended_tokens]
        await self._many("UPDATE access_token SET ended_ms = ? WHERE ended_ms = 0 AND grant_id = ?", tokens)
        statuses = [(status, client) for client, status in writes.statuses]
        await self._many("UPDATE bank SET status = ? WHERE client_id = ?", statuses)
        counted = [(count, key, count) for key, count in writes.counted]
        await self._many("UPDATE passkey SET sign_count = ? WHERE credential_id = ? AND sign_count <= ?", counted)

    async def commit(self) -> None:
        """COMMIT with fsync of the WAL."""
        try:
            await self._live().execute("COMMIT")
        except sqlite3.Error as error:
            raise LedgerFault(error, lost=True) from error

    async def rollback(self) -> None:
        """ROLLBACK where a transaction is open; close the file when even that fails."""
        if self._connection is None or not self._connection.in_transaction:
            return
        try:
            await self._connection.execute("ROLLBACK")
        except (sqlite3.Error, ValueError):
            await self.close()

    async def leaf_hashes(self, log_year: int, start: int, end: int) -> list[bytes]:
        """In order of idx."""
        sql = "SELECT leaf_hash FROM journal_entry WHERE log_year = ? AND idx >= ? AND idx < ? ORDER BY idx"
        return [row[0] for row in await self._all(sql, log_year, start, end)]

    async def leaves(self, log_year: int, start: int, end: int) -> list[tuple[bytes, bytes]]:
        """In order of idx."""
        sql = "SELECT leaf_hash, leaf FROM journal_entry WHERE log_year = ? AND idx >= ? AND idx < ? ORDER BY idx"
        return [(row[0], row[1]) for row in await self._all(sql, log_year, start, end)]

    async def tile(self, log_year: int, level: int, n: int) -> bytes | None:
        """A full tile by its place."""
        rows = await self._all(
            "SELECT data FROM journal_tile WHERE log_year = ? AND level = ? AND n = ?", log_year, level, n
        )
        return rows[0][0] if rows else None

    async def last_head(self, before_year: int) -> HeadRow | None:
        """The head of the newest log before a year."""
        rows = await self._all(_BEFORE, before_year)
        return HeadRow(*rows[0]) if rows else None
