"""Access and refresh tokens: opaque 256-bit values of which only the hash is kept (RFC 6749 §1.4, §1.5; RFC 9449 §5).

An access token lives 300 seconds. A refresh token lives as long as its grant and is not rotated (FAPI 2.0 §5.3.2.1):
the same one is returned. Revoking any token of a grant ends them all.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from dataclasses import dataclass
from typing import Final, Literal

from authlib.oauth2.rfc6749.models import TokenMixin
from sqlalchemy import BigInteger, Column, Text
from sqlmodel import Field, SQLModel

from consent.catalogue import Catalogue
from consent.grant import GrantState, Terms
from consent.oauth.bank import BankView
from consent.scope import Scope, decode

ACCESS_LIFETIME_S: Final = 300
ACCESS_PREFIX: Final = "xat_"
REFRESH_PREFIX: Final = "xrt_"
ACCESS: Final = "access"
REFRESH: Final = "refresh"
MAX_TOKEN: Final = 512
"""Characters of a presented token worth hashing; ours have 47."""


class AccessToken(SQLModel, table=True):
    """A token at rest, made in `born`. `items`: a narrower scope in the journal's form, or "" for the whole grant."""

    __tablename__ = "access_token"

    hash: str = Field(primary_key=True, max_length=64)
    kind: str = Field(max_length=8)
    grant_id: str = Field(index=True, max_length=40)
    client_id: str = Field(max_length=80)
    jkt: str = Field(max_length=43)
    items: str = Field(default="", sa_column=Column(Text, nullable=False))
    issued_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    expires_ms: int = Field(sa_column=Column(BigInteger, nullable=False))
    ended_ms: int = Field(default=0, sa_column=Column(BigInteger, nullable=False))


@dataclass(frozen=True)
class TokenView(TokenMixin):  # type: ignore[misc]
    """A token in motion. An instant is in force when issued_ms <= now < expires_ms and it was not ended."""

    hash: str
    kind: str
    grant_id: str
    client_id: str
    jkt: str
    items: str
    issued_ms: int
    expires_ms: int
    ended_ms: int

    def live(self, now_ms: int) -> bool:
        """Neither ended nor expired."""
        return self.ended_ms == 0 and now_ms < self.expires_ms

    def active(self, grant: Terms | None, now_ms: int) -> bool:
        """The token is live and its grant still opens something for this bank."""
        return (
            self.live(now_ms)
            and grant is not None
            and (grant.id, grant.client_id) == (self.grant_id, self.client_id)
            and grant.state(now_ms) in (GrantState.ACTIVE, GrantState.NOT_YET)
        )

    def scope(self, grant: Terms, catalogue: Catalogue) -> Scope:
        """What the token opens: all of the grant, or less."""
        return decode(self.items.split(" "), catalogue).meet(grant.scope) if self.items else grant.scope

    def check_client(self, client: BankView) -> bool:
        """Issued to this bank?"""
        return self.client_id == client.client_id

    def get_scope(self) -> str:
        """No scope values exist here."""
        return ""


def token_view(row: AccessToken) -> TokenView:
    """The snapshot of a row."""
    return TokenView(
        hash=row.hash,
        kind=row.kind,
        grant_id=row.grant_id,
        client_id=row.client_id,
        jkt=row.jkt,
        items=row.items,
        issued_ms=row.issued_ms,
        expires_ms=row.expires_ms,
        ended_ms=row.ended_ms,
    )


def digest(value: str) -> str:
    """SHA-256 of a token, code or request_uri: 64 lower-case hex digits, the only form that is ever stored."""
    return hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()


def ath_of(token: str) -> str:
    """The `ath` a DPoP proof must carry for this token (RFC 9449 §4.2): base64url of its SHA-256."""
    return base64.urlsafe_b64encode(hashlib.sha256(token.encode("ascii", "replace")).digest()).rstrip(b"=").decode()


def born(
    kind: Literal["access", "refresh"], grant: Terms, *, jkt: str, items: str, now_ms: int
) -> tuple[str, AccessToken]:
    """A fresh token: its value, shown once, and its row. An access token never outlives its grant."""
    value = (ACCESS_PREFIX if kind == ACCESS else REFRESH_PREFIX) + secrets.token_urlsafe(32)
    expires_ms = grant.not_after_ms
    if kind == ACCESS:
        expires_ms = min(expires_ms, now_ms + ACCESS_LIFETIME_S * 1000)
    row = AccessToken(
        hash=digest(value),
        kind=kind,
        grant_id=grant.id,
        client_id=grant.client_id,
        jkt=jkt,
        items=items,
        issued_ms=now_ms,
        expires_ms=expires_ms,
        ended_ms=0,
    )
    return value, row
