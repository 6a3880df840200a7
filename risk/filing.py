"""Assessments kept: sealed, with the digests of what they were made from, so that a decision can be replayed."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, LargeBinary
from sqlmodel import Field, SQLModel

from consent.canonical import canonical
from consent.sealing import Sealer
from risk.assessment import Assessment


class FiledAssessment(SQLModel, table=True):
    """One assessment at rest. `sealed` holds the full document with the firm's own values; the rest may be searched."""

    __tablename__ = "assessment"

    id: str = Field(primary_key=True, max_length=40)
    query_id: str = Field(index=True, max_length=40)
    client_id: str = Field(max_length=80)
    grant_id: str = Field(index=True, max_length=40)
    card_digest: str = Field(max_length=64)
    created_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))


def file(assessment: Assessment, *, identity: tuple[str, str, str, str], sealer: Sealer) -> FiledAssessment:
    """The row of an assessment. `identity` is (assessment id, query id, client id, grant id)."""
    assessment_id, query_id, client_id, grant_id = identity
    document = canonical(assessment.document(own_values=True))
    return FiledAssessment(
        id=assessment_id,
        query_id=query_id,
        client_id=client_id,
        grant_id=grant_id,
        card_digest=assessment.card_digest,
        created_ms=int(assessment.assessed_at.timestamp() * 1000),
        sealed=sealer.seal(document, f"assessment:{assessment_id}".encode()),
    )
