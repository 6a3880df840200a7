"""Who acts for an enterprise: enterprises, signatories 签署人 and the mandate between them.

A mandate is a role (legal representative or appointed agent) with a term; without one nobody sees or signs anything.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, SQLModel

ROLES = {"legal_rep": "法定代表人", "agent": "授权经办人"}
_SCRYPT = {"n": 2**14, "r": 8, "p": 1, "dklen": 32}


class Enterprise(SQLModel, table=True):
    """An enterprise known to the node."""

    __tablename__ = "enterprise"

    code: str = Field(primary_key=True, max_length=18)
    name: str = Field(max_length=200)


class Signatory(SQLModel, table=True):
    """A natural person who signs. `name_masked` is all of the name the node shows; the passcode is kept as a hash."""

    __tablename__ = "signatory"

    id: str = Field(primary_key=True, max_length=40)
    mobile: str = Field(unique=True, max_length=20)
    name_masked: str = Field(max_length=40)
    passcode_hash: str = Field(max_length=160)


class Mandate(SQLModel, table=True):
    """A signatory may act for an enterprise until an instant (ms since the epoch)."""

    __tablename__ = "mandate"

    signatory: str = Field(primary_key=True, max_length=40)
    enterprise: str = Field(primary_key=True, max_length=18)
    role: str = Field(max_length=16)
    until_ms: int = Field(sa_column=Column(BigInteger, nullable=False))


def hash_passcode(passcode: str, *, salt: bytes | None = None) -> str:
    """`salt$hash` in hex by scrypt (RFC 7914, N=2^14, r=8, p=1): about 30 ms of CPU, off the event loop please."""
    salt = secrets.token_bytes(16) if salt is None else salt
    typed = passcode.encode("utf-8", "surrogatepass")
    return f"{salt.hex()}${hashlib.scrypt(typed, salt=salt, **_SCRYPT).hex()}"


def passcode_matches(passcode: str, stored: str) -> bool:
    """Constant-time comparison against a stored hash; False for a stored value that is no hash."""
    salt_hex, _, _ = stored.partition("$")
    try:
        salt = bytes.fromhex(salt_hex)
    except ValueError:
        return False
    return hmac.compare_digest(hash_passcode(passcode, salt=salt).encode(), stored.encode("utf-8", "surrogatepass"))
