"""The journal's tables. Insert-only but for the head and the subject's counter; triggers forbid the rest.

Search columns repeat what the leaf says so that they can be recomputed from it and compared.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, Text
from sqlmodel import Field, SQLModel


class Head(SQLModel, table=True):
    """The one locked row per log. Its compare-and-swap on `size` is the fork guard."""

    __tablename__ = "journal_head"

    log_year: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    origin: str = Field(max_length=200)
    size: int = Field(sa_column=Column(BigInteger, nullable=False))
    root: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    last_ts: int = Field(sa_column=Column(BigInteger, nullable=False))


class Entry(SQLModel, table=True):
    """One leaf. `idx` counts from 0 without gaps; `leaf` is the entry as it stands in the tile."""

    __tablename__ = "journal_entry"
    __table_args__ = (
        Index("ix_journal_entry_org_ts", "org", "ts"),
        Index("ix_journal_entry_sub_seq", "sub", "seq"),
        Index("ix_journal_entry_grant_id", "grant_id"),
        Index("ix_journal_entry_req", "req"),
        Index("ix_journal_entry_ts", "ts", postgresql_using="brin"),
    )

    log_year: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    idx: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    ts: int = Field(sa_column=Column(BigInteger, nullable=False))
    kind: str = Field(max_length=12)
    org: str = Field(max_length=80)
    sub: str = Field(max_length=32)
    seq: int = Field(sa_column=Column(BigInteger, nullable=False))
    grant_id: str = Field(max_length=40)
    req: str = Field(max_length=40)
    leaf_hash: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    leaf: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    salt: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Tile(SQLModel, table=True):
    """A full hash tile: 256 hashes, 8,192 bytes. Partial tiles are computed, never stored."""

    __tablename__ = "journal_tile"

    log_year: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    level: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    n: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    data: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class Checkpoint(SQLModel, table=True):
    """A signed note over (origin, size, root), one per batch."""

    __tablename__ = "journal_checkpoint"

    log_year: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    size: int = Field(sa_column=Column(BigInteger, primary_key=True, autoincrement=False))
    ts: int = Field(sa_column=Column(BigInteger, nullable=False))
    root: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    note: str = Field(sa_column=Column(Text, nullable=False))


class Subject(SQLModel, table=True):
    """An enterprise as the journal of one year knows it: a random pseudonym, a gap-free counter, a wrapped key."""

    __tablename__ = "journal_subject"

    log_year: int = Field(primary_key=True, sa_column_kwargs={"autoincrement": False})
    code: str = Field(primary_key=True, max_length=18)
    pseudonym: str = Field(unique=True, max_length=32)
    counter: int = Field(sa_column=Column(BigInteger, nullable=False))
    wrapped_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


class KeptAnswer(SQLModel, table=True):
    """An Idempotency-Key and, once released, the sealed answer that a repeat gets. Swept after `expires_ms`."""

    __tablename__ = "kept_answer"

    client_id: str = Field(primary_key=True, max_length=80)
    key: str = Field(primary_key=True, max_length=64)
    fingerprint: str = Field(max_length=64)
    query_id: str = Field(max_length=40)
    expires_ms: int = Field(sa_column=Column(BigInteger, nullable=False, index=True))
    sealed: bytes = Field(default=b"", sa_column=Column(LargeBinary, nullable=False))
