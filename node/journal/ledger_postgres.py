"""The ledger on PostgreSQL (≥ 15): one dedicated asyncpg connection, five round trips a batch.

Arrays and `unnest` write a whole batch in one statement; the statement also holds the compare-and-swap on the head. The
lock is an advisory one, held to the end of the transaction, and then the head's row: what is read after the first has a
fresh snapshot, so a log that another process opened meanwhile (first boot, new year) is seen and not opened twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg
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
from node.journal.write_sql import statement

ADVISORY_LOCK = 0x78796A
_BEGIN = f"BEGIN; SELECT pg_advisory_xact_lock({ADVISORY_LOCK:d})"
_LOCK = "SELECT log_year, origin, size, root, last_ts FROM journal_head ORDER BY log_year DESC LIMIT 1 FOR UPDATE"
_BEFORE = """SELECT log_year, origin, size, root, last_ts FROM journal_head WHERE log_year < $1
 ORDER BY log_year DESC LIMIT 1"""

_GRANTS = """SELECT 0, id, status, ''::bytea, version, not_before_ms, not_after_ms, max_queries, used
 FROM consent_grant WHERE id = ANY($%d::text[])"""
_TOKENS = """SELECT 1, hash, grant_id, ''::bytea, 0, expires_ms, ended_ms, 0, 0
 FROM access_token WHERE hash = ANY($%d::text[])"""
_SUBJECTS = """SELECT 2, code, pseudonym, wrapped_key, 0, counter, 0, 0, 0
 FROM journal_subject WHERE code = ANY($%d::text[]) AND log_year = $1"""
_KEYS = """SELECT 3, k.client_id, k.key, ''::bytea, 0, 0, 0, 0, 0
 FROM kept_answer k JOIN unnest($%d::text[], $%d::text[]) AS w(client_id, key) USING (client_id, key)"""

_FAULTS = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError)
STATEMENT_TIMEOUT_MS = 15_000
LOCK_TIMEOUT_MS = 10_000


class PostgresLedger:
    """See `node.journal.ledger`."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: asyncpg.Connection[Any] | None = None

    async def open(self) -> None:
        """Connect with durable commits and bounded waits."""
        try:
            self._connection = await asyncpg.connect(
                self._dsn,
                timeout=10,
                server_settings={
                    "synchronous_commit": "on",
                    "statement_timeout": str(STATEMENT_TIMEOUT_MS),
                    "lock_timeout": str(LOCK_TIMEOUT_MS),
                    "idle_in_transaction_session_timeout": str(STATEMENT_TIMEOUT_MS),
                    "application_name": "xyd-appender",
                },
            )
        except _FAULTS as error:
            raise LedgerFault(error, lost=True) from error

    async def close(self) -> None:
        """Drop the connection."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def _live(self) -> asyncpg.Connection[Any]:
        if self._connection is None:
            raise LedgerFault(ConnectionError("not connected"), lost=True)
        return self._connection

    async def lock(self) -> HeadRow | None:
        """BEGIN and the advisory lock in one round trip; SELECT … FOR UPDATE."""
        connection = self._live()
        try:
            await connection.execute(_BEGIN)
            row = await connection.fetchrow(_LOCK)
        except _FAULTS as error:
            raise LedgerFault(error) from error
        return None if row is None else HeadRow(*row)

    async def new_log(self, log_year: int, origin: str) -> HeadRow:
        """The empty head of a year."""
        empty = HeadRow(log_year, origin, 0, b"", 0)
        try:
            await self._live().execute("INSERT INTO journal_head VALUES ($1, $2, $3, $4, $5)", *empty)
        except _FAULTS as error:
            raise LedgerFault(error) from error
        return empty

    async def look(self, wanted: Wanted) -> Found:
        """One statement for grants, tokens, subjects and keys."""
        sql, arguments = _question(wanted)
        if not sql:
            return Found()
        try:
            rows = await self._live().fetch(sql, wanted.log_year, *arguments)
        except _FAULTS as error:
            raise LedgerFault(error) from error
        found = Found()
        for kind, first, second, data, version, *numbers in rows:
            if kind == 0:
                found.grants[first] = GrantRow(version, second, *numbers)
            elif kind == 1:
                found.tokens[first] = TokenRow(second, numbers[0], numbers[1])
            elif kind == 2:
                found.subjects[first] = SubjectRow(second, numbers[0], data)
            else:
                found.keys.add((first, second))
        return found

    async def insert(self, rows: Sequence[SQLModel]) -> bool:
        """ON CONFLICT DO NOTHING, so that a duplicate does not abort its neighbours; a savepoint around several."""
        connection = self._live()
        try:
            if len(rows) > 1:
                await connection.execute("SAVEPOINT act")
            for row in rows:
                table, names, values = insert_parts(row)
                marks = ", ".join(f"${n}" for n in range(1, len(names) + 1))
                sql = f'INSERT INTO "{table}" ({", ".join(names)}) VALUES ({marks}) ON CONFLICT DO NOTHING'  # noqa: S608
                if await connection.execute(sql, *values) != "INSERT 0 1":
                    if len(rows) > 1:
                        await connection.execute("ROLLBACK TO act")
                    return False
        except _FAULTS as error:
            raise LedgerFault(error) from error
        return True

    async def write(self, writes: Writes) -> None:
        """One statement; the rare effects follow as statements of their own."""
        connection = self._live()
        sql, arguments = statement(writes)
        try:
            moved = await connection.fetchval(sql, *arguments)
            if moved != 1:
                raise HeadMoved
            if writes.tiles:
                await connection.executemany(
                    "INSERT INTO journal_tile VALUES ($1, $2, $3, $4)",
                    [(writes.head.log_year, *t) for t in writes.tiles],
                )
            await self._rare(connection, writes)
        except _FAULTS as error:
            raise LedgerFault(error) from error

    async def _rare(self, connection: asyncpg.Connection[Any], writes: Writes) -> None:
        if writes.ended_grants:
            await connection.executemany(
                "UPDATE consent_grant SET status = 'revoked', version = $2, ended_by = $3, ended_why = $4, "
                "ended_ms = $5 WHERE id = $1",
                [(*ended, writes.ts) for ended in writes.ended_grants],
            )
        if writes.ended_tokens:
            await connection.execute(
                "UPDATE access_token SET ended_ms = $2 WHERE ended_ms = 0 AND grant_id = ANY($1::text[])",
                writes.ended_tokens,
                writes.ts,
            )
        if writes.statuses:
            await connection.executemany("UPDATE bank SET status = $2 WHERE client_id = $1", writes.statuses)
        if writes.counted:
            await connection.executemany(
                "UPDATE passkey SET sign_count = $2 WHERE credential_id = $1 AND sign_count <= $2", writes.counted
            )

    async def commit(self) -> None:
        """COMMIT; when it raises, the outcome is unknown."""
        try:
            await self._live().execute("COMMIT")
        except _FAULTS as error:
            raise LedgerFault(error, lost=True) from error

    async def rollback(self) -> None:
        """ROLLBACK, or drop the connection when even that fails."""
        try:
            await self._live().execute("ROLLBACK")
        except (*_FAULTS, LedgerFault):
            await self.close()

    async def leaf_hashes(self, log_year: int, start: int, end: int) -> list[bytes]:
        """In order of idx."""
        sql = "SELECT leaf_hash FROM journal_entry WHERE log_year = $1 AND idx >= $2 AND idx < $3 ORDER BY idx"
        try:
            rows = await self._live().fetch(sql, log_year, start, end)
        except _FAULTS as error:
            raise LedgerFault(error, lost=True) from error
        return [row[0] for row in rows]

    async def leaves(self, log_year: int, start: int, end: int) -> list[tuple[bytes, bytes]]:
        """In order of idx."""
        sql = "SELECT leaf_hash, leaf FROM journal_entry WHERE log_year = $1 AND idx >= $2 AND idx < $3 ORDER BY idx"
        try:
            rows = await self._live().fetch(sql, log_year, start, end)
        except _FAULTS as error:
            raise LedgerFault(error, lost=True) from error
        return [(row[0], row[1]) for row in rows]

    async def tile(self, log_year: int, level: int, n: int) -> bytes | None:
        """A full tile by its place."""
        sql = "SELECT data FROM journal_tile WHERE log_year = $1 AND level = $2 AND n = $3"
        try:
            data: bytes | None = await self._live().fetchval(sql, log_year, level, n)
        except _FAULTS as error:
            raise LedgerFault(error, lost=True) from error
        return data

    async def last_head(self, before_year: int) -> HeadRow | None:
        """The head of the newest log before a year."""
        try:
            row = await self._live().fetchrow(_BEFORE, before_year)
        except _FAULTS as error:
            raise LedgerFault(error) from error
        return None if row is None else HeadRow(*row)


def _question(wanted: Wanted) -> tuple[str, list[list[str]]]:
    """One statement for what is wanted, and its arguments after the log's year."""
    texts: list[str] = []
    arguments: list[list[str]] = []
    for text, values in ((_SUBJECTS, wanted.subjects), (_GRANTS, wanted.grants), (_TOKENS, wanted.tokens)):
        if values:
            arguments.append(values)
            texts.append(text % (len(arguments) + 1))
    if wanted.keys:
        arguments += [[client for client, _ in wanted.keys], [key for _, key in wanted.keys]]
        texts.append(_KEYS % (len(arguments), len(arguments) + 1))
    if texts and not wanted.subjects:
        texts.append("SELECT 4, '', '', ''::bytea, 0, $1::bigint, 0, 0, 0 WHERE false")
    return " UNION ALL ".join(texts), arguments
