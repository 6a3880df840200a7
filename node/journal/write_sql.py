"""The one statement that writes a batch on PostgreSQL, in the shape the batch has.

Parts that are empty are left out, parts of one row are plain parameters, only real batches are arrays: asyncpg asks
every element of every array whether it is a container, which for a batch of one was a quarter of all calls of a query.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from node.journal.ledger import Writes


class _Part(NamedTuple):
    """One table's share: its common table expression around `{source}`, and the types of the source's columns."""

    name: str
    sql: str
    columns: str
    types: tuple[str, ...]


_ENTRY = _Part(
    "entry",
    "INSERT INTO journal_entry"
    " (log_year, idx, ts, kind, org, sub, seq, grant_id, req, leaf_hash, leaf, salt, sealed)"
    " SELECT $1, u.* FROM head, {source}",
    "idx, ts, kind, org, sub, seq, grant_id, req, leaf_hash, leaf, salt, sealed",
    ("bigint", "bigint", "text", "text", "text", "bigint", "text", "text", "bytea", "bytea", "bytea", "bytea"),
)
_SUBJECT = _Part(
    "subject",
    "INSERT INTO journal_subject (log_year, code, pseudonym, counter, wrapped_key) SELECT $1, u.* FROM {source}"
    " ON CONFLICT (log_year, code) DO UPDATE SET counter = excluded.counter",
    "code, pseudonym, counter, wrapped_key",
    ("text", "text", "bigint", "bytea"),
)
_USED = _Part(
    "used",
    "UPDATE consent_grant g SET used = g.used + u.n FROM {source} WHERE g.id = u.id",
    "id, n",
    ("text", "int"),
)
_KEPT = _Part(
    "kept",
    "INSERT INTO kept_answer (client_id, key, fingerprint, query_id, expires_ms, sealed)"
    " SELECT u.*, ''::bytea FROM {source}",
    "client_id, key, fingerprint, query_id, expires_ms",
    ("text", "text", "text", "text", "bigint"),
)
_ANSWER = _Part(
    "answer",
    "UPDATE kept_answer k SET sealed = u.sealed FROM {source} WHERE k.client_id = u.client_id AND k.key = u.key",
    "client_id, key, sealed",
    ("text", "text", "bytea"),
)
_PARTS = (_ENTRY, _SUBJECT, _USED, _KEPT, _ANSWER)
_HEAD = """WITH head AS (
  UPDATE journal_head SET size = $2, root = $3, last_ts = $4 WHERE log_year = $1 AND size = $5 RETURNING 1
), note AS (
  INSERT INTO journal_checkpoint (log_year, size, ts, root, note) SELECT $1, $2, $4, $3, $6 FROM head
)"""
_FIXED = 6


def statement(writes: Writes) -> tuple[str, list[Any]]:
    """The statement and its arguments. It gives the number of heads moved: exactly one, or nothing was written."""
    head = writes.head
    rows: tuple[Sequence[tuple[Any, ...]], ...] = (
        writes.entries,
        [(code, row.pseudonym, row.counter, row.wrapped_key) for code, row in writes.subjects.items()],
        list(writes.used.items()),
        writes.keys,
        writes.answers,
    )
    arguments: list[Any] = [head.log_year, writes.size, writes.root, writes.ts, head.size, writes.note]
    for each in rows:
        if len(each) == 1:
            arguments += each[0]
        elif each:
            arguments += [list(column) for column in zip(*each, strict=True)]
    return _text(tuple(min(len(each), 2) for each in rows)), arguments


@lru_cache(maxsize=243)
def _text(shape: tuple[int, ...]) -> str:
    """The text for a shape: per part no row, one row or several (0, 1, 2)."""
    parts, mark = [_HEAD], _FIXED + 1
    for part, rows in zip(_PARTS, shape, strict=True):
        if rows:
            parts.append(f"{part.name} AS (\n  {part.sql.format(source=_source(part, mark, rows))}\n)")
            mark += len(part.types)
    return ", ".join(parts) + "\nSELECT count(*) FROM head"


def _source(part: _Part, mark: int, rows: int) -> str:
    marks = [f"${mark + n}::{kind}" for n, kind in enumerate(part.types)]
    if rows == 1:
        return f"(VALUES ({', '.join(marks)})) AS u({part.columns})"
    return f"unnest({', '.join(f'{each}[]' for each in marks)}) AS u({part.columns})"
