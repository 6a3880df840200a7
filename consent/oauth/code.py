"""Authorization code (RFC 6749 §4.1): bound to client, redirect URI, challenge, grant and, if known, key; good once.

What is stored is this snapshot under the hash of the code. After use it stays a while as a tombstone, so that a second
use is recognised and ends the grant's tokens (§4.1.2; FAPI 2.0 §5.3.2.2).
"""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass, replace
from typing import Final

import msgspec

from consent.oauth.token import digest

LIFETIME_S: Final = 60
"""FAPI 2.0 §5.3.2.2: a code lives at most 60 seconds."""
TOMBSTONE_S: Final = 600
"""How long a used code is remembered: longer than any access token from it lives."""


@dataclass(frozen=True, slots=True)
class AuthCode:
    """A code in motion, without its value. `jkt` is "" when no key was named at the pushed request."""

    client_id: str
    redirect_uri: str
    code_challenge: str
    jkt: str
    grant_id: str
    grant_version: int
    expires_ms: int
    used_ms: int = 0

    code_challenge_method = "S256"

    def dump(self) -> str:
        """As JSON for the short-lived store."""
        return msgspec.json.encode(asdict(self)).decode()

    @staticmethod
    def load(text: str | bytes) -> AuthCode:
        """Back from the store, which is ours: a broken value is a bug."""
        return msgspec.json.decode(text, type=AuthCode)

    def used(self, now_ms: int) -> AuthCode:
        """The tombstone: what stays in the store after the one use."""
        return replace(self, used_ms=now_ms)

    def get_redirect_uri(self) -> str:
        """Authlib asks for it."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """No scope values exist here."""
        return ""


def new_code() -> str:
    """A fresh code: 256 random bits, 43 URL-safe characters."""
    return secrets.token_urlsafe(32)


def code_key(value: str) -> str:
    """Where a code is stored: by its hash, so that the store cannot be used to redeem anything."""
    return f"code:{digest(value)}"
