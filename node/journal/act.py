"""An act: what one decision asks the journal to make durable, and the receipt it gets back.

Guards are re-checked under the head's lock, in the transaction that writes the entries; an act whose guard fails drops
out of the batch with its reason, and its `on_refusal` evidence (a DENY) is written instead.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlmodel import SQLModel

from consent.evidence import Evidence
from node.errors import StoreUnavailable


@dataclass(frozen=True, slots=True)
class GrantLive:
    """The grant is active, in force at the entry's time, and still at this version. With `quota`, a query is left."""

    grant_id: str
    version: int
    quota: bool = False


@dataclass(frozen=True, slots=True)
class TokenLive:
    """The token (SHA-256 hex) exists, has not ended and has not expired at the entry's time."""

    token_hash: str


@dataclass(frozen=True, slots=True)
class KeyNew:
    """The bank has not used this Idempotency-Key before. Claims it for `query_id` in the same transaction."""

    client_id: str
    key: str
    fingerprint: str
    query_id: str
    expires_ms: int


Guard = GrantLive | TokenLive | KeyNew


@dataclass(frozen=True, slots=True)
class UseGrant:
    """Count one query against the grant."""

    grant_id: str


@dataclass(frozen=True, slots=True)
class EndGrant:
    """The grant is revoked at a new version, and every token of it ends with it."""

    grant_id: str
    version: int
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class EndTokens:
    """Every token of the grant ends."""

    grant_id: str


@dataclass(frozen=True, slots=True)
class KeepAnswer:
    """Keep a sealed answer for a repeat of the same Idempotency-Key."""

    client_id: str
    key: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class Insert:
    """A new row of one of our tables."""

    row: SQLModel


@dataclass(frozen=True, slots=True)
class SetBank:
    """A bank's status changes (active or suspended)."""

    client_id: str
    status: str


@dataclass(frozen=True, slots=True)
class CountPasskey:
    """The signature counter of a passkey moved on."""

    credential_id: str
    sign_count: int


Effect = UseGrant | EndGrant | EndTokens | KeepAnswer | Insert | SetBank | CountPasskey


@dataclass(frozen=True, slots=True)
class Act:
    """Entries to write, what must hold for that, what changes with it, and what to write when it may not."""

    evidence: tuple[Evidence, ...]
    guards: tuple[Guard, ...] = ()
    effects: tuple[Effect, ...] = ()
    on_refusal: Evidence | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """Proof that one entry is in the log: made by the appender only, after COMMIT.

    `path` holds the 32-byte hashes of the inclusion proof of `index` in a tree of `size` leaves whose root the
    checkpoint signs; `salt` and `details` open the leaf's commitment.
    """

    origin: str
    index: int
    ts: int
    size: int
    leaf: bytes
    path: tuple[bytes, ...]
    checkpoint: str
    salt: bytes
    details: bytes


class JournalUnavailable(StoreUnavailable):
    """The journal could not commit, is full or has halted. Nothing may be released."""


class GuardFailed(Exception):
    """A guard did not hold under the lock. `reason` is stable: `consent.revoked`, `token.ended`, `key.used`…

    `receipt` proves the DENY entry when the act asked for one.
    """

    def __init__(self, reason: str, receipt: Receipt | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.receipt = receipt
