"""Grant 授权: what an enterprise allowed one bank. A table with pure behaviour that returns evidence.

States: active → revoked | expired | consumed, the last two computed at read, never by a job. Terminal states are
final. An instant is in force when not_before <= now < not_after.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from sqlalchemy import BigInteger, Column, Text
from sqlmodel import Field, SQLModel

from consent.catalogue import Catalogue
from consent.enterprise import CreditCode
from consent.errors import Conflict, GrantEnded
from consent.evidence import Evidence, Kind
from consent.scope import Scope, decode

REVOKERS = ("enterprise", "bank", "operator")


class GrantState(StrEnum):
    """Where a grant stands at an instant."""

    ACTIVE = "active"
    NOT_YET = "not_yet"
    REVOKED = "revoked"
    EXPIRED = "expired"
    CONSUMED = "consumed"


class Grant(SQLModel, table=True):
    """A grant at rest. Times are integer ms since the epoch; rows are born in `give` only."""

    __tablename__ = "consent_grant"

    id: str = Field(primary_key=True, max_length=40)
    version: int
    status: str = Field(max_length=12)
    client_id: str = Field(index=True, max_length=80)
    enterprise: str = Field(index=True, max_length=18)
    signatory: str = Field(max_length=40)
    purpose: str = Field(max_length=40)
    template_sha256: str = Field(max_length=64)
    items: str = Field(sa_column=Column(Text, nullable=False))
    not_before_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    not_after_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    max_queries: int
    used: int
    document: str = Field(sa_column=Column(Text, nullable=False))
    document_sha256: str = Field(max_length=64)
    signature: str = Field(sa_column=Column(Text, nullable=False))
    assurance: str = Field(max_length=4)
    created_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    ended_ms: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))
    ended_by: str = Field(default="", max_length=12)
    ended_why: str = Field(default="", max_length=40)


@dataclass(frozen=True, slots=True)
class Terms:
    """A grant in motion: the part of it that decisions need."""

    id: str
    version: int
    status: str
    client_id: str
    enterprise: CreditCode
    purpose: str
    template_sha256: str
    scope: Scope
    not_before_ms: int
    not_after_ms: int
    max_queries: int
    used: int

    def state(self, now_ms: int) -> GrantState:
        """Where the grant stands at `now_ms`. Revoked wins over every other end."""
        if self.status == "revoked":
            return GrantState.REVOKED
        if now_ms >= self.not_after_ms:
            return GrantState.EXPIRED
        if self.used >= self.max_queries:
            return GrantState.CONSUMED
        return GrantState.ACTIVE if now_ms >= self.not_before_ms else GrantState.NOT_YET

    def live(self, now_ms: int) -> Terms:
        """The grant itself if a query may start now. Raises GrantEnded with `consent.<state>`."""
        state = self.state(now_ms)
        if state is not GrantState.ACTIVE:
            raise GrantEnded("the consent is not in force", code=f"consent.{state.value}")
        return self


def terms(row: Grant, catalogue: Catalogue) -> Terms:
    """The terms of a row. The row is ours, so a broken one is a bug, not a refusal."""
    return Terms(
        id=row.id,
        version=row.version,
        status=row.status,
        client_id=row.client_id,
        enterprise=CreditCode.parse(row.enterprise),
        purpose=row.purpose,
        template_sha256=row.template_sha256,
        scope=decode(row.items.split(" "), catalogue),
        not_before_ms=row.not_before_ms,
        not_after_ms=row.not_after_ms,
        max_queries=row.max_queries,
        used=row.used,
    )


@dataclass(frozen=True, slots=True)
class Signed:
    """A consent document with the proof that the signatory signed it."""

    document: str
    sha256: str
    signature: str
    signatory: str
    assurance: str


def give(agreed: Terms, signed: Signed, encoded: Iterable[str], *, now: datetime) -> tuple[Grant, Evidence]:
    """An enterprise says yes: the row and the evidence of it.

    `encoded` is the agreed scope in the journal's form. Both are to be committed in one transaction.
    """
    items = tuple(encoded)
    row = Grant(
        id=agreed.id,
        version=agreed.version,
        status="active",
        client_id=agreed.client_id,
        enterprise=str(agreed.enterprise),
        signatory=signed.signatory,
        purpose=agreed.purpose,
        template_sha256=agreed.template_sha256,
        items=" ".join(items),
        not_before_ms=agreed.not_before_ms,
        not_after_ms=agreed.not_after_ms,
        max_queries=agreed.max_queries,
        used=0,
        document=signed.document,
        document_sha256=signed.sha256,
        signature=signed.signature,
        assurance=signed.assurance,
        created_ms=int(now.timestamp() * 1000),
    )
    public: dict[str, str | int | tuple[str, ...]] = {
        "grant": agreed.id,
        "ver": agreed.version,
        "purpose": agreed.purpose,
        "tpl": agreed.template_sha256,
        "items": items,
        "nb": agreed.not_before_ms,
        "na": agreed.not_after_ms,
        "max": agreed.max_queries,
        "doc": signed.sha256,
        "asr": signed.assurance,
    }
    private = {"enterprise": str(agreed.enterprise), "signatory": signed.signatory}
    return row, Evidence(Kind.GRANT, agreed.client_id, agreed.enterprise, public, private)


def revoke(current: Terms, *, by: str, why: str) -> tuple[Terms, Evidence]:
    """Take the grant back. The version grows by one. Raises Conflict when it is revoked already.

    An expired or consumed grant may still be revoked: its tokens and its copies at the bank end with it.
    """
    if by not in REVOKERS:
        raise ValueError(f"nobody called {by} may revoke")
    if current.status == "revoked":
        raise Conflict("the consent was withdrawn before", code="consent.state_conflict")
    ended = replace(current, status="revoked", version=current.version + 1)
    public: dict[str, str | int | tuple[str, ...]] = {"grant": ended.id, "ver": ended.version, "by": by, "why": why}
    return ended, Evidence(Kind.REVOKE, current.client_id, current.enterprise, public)
