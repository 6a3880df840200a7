"""OAuth errors and how they leave the house.

    OAuth2Error (Authlib)
    ├── InvalidRequestError, InvalidClientError, InvalidGrantError, …   RFC 6749 §5.2
    ├── InvalidProof           invalid_dpop_proof                RFC 9449 §5
    ├── InvalidDetails         invalid_authorization_details     RFC 9396 §5
    ├── RequestNotSupported    request_not_supported             OpenID Connect Core §3.1.2.6 (RFC 9101 comes later)
    ├── WrongVerb              invalid_request, status 405
    ├── ServerBusy             temporarily_unavailable, status 503
    └── CodeReplayed           invalid_grant, and the grant's tokens end (consent.oauth.effects)

A description is always one of our own sentences: input is never echoed, and RFC 6749 §5.2 allows ASCII only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from authlib.oauth2.rfc6749.errors import (
    AccessDeniedError,
    InvalidClientError,
    InvalidGrantError,
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    UnauthorizedClientError,
    UnsupportedGrantTypeError,
    UnsupportedResponseTypeError,
)

from consent.errors import Refusal

__all__ = [
    "AccessDeniedError",
    "InvalidClientError",
    "InvalidDetails",
    "InvalidGrantError",
    "InvalidProof",
    "InvalidRequestError",
    "InvalidScopeError",
    "OAuth2Error",
    "Reply",
    "RequestNotSupported",
    "ServerBusy",
    "UnauthorizedClientError",
    "UnsupportedGrantTypeError",
    "UnsupportedResponseTypeError",
    "WrongVerb",
    "details_error",
    "reply_of_error",
]

NO_STORE: Final = (("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Pragma", "no-cache"))

# What these Authlib classes say repeats the caller's words, so their sentence is ours instead.
_SENTENCES: Final[Mapping[str, str]] = {
    "unsupported_grant_type": "grant_type must be authorization_code or refresh_token",
    "unsupported_response_type": "response_type must be code",
    "insecure_transport": "the request did not come over a secure transport",
}
_MEMBERS: Final = ("limit", "max", "asked", "member", "dataset")


class InvalidProof(OAuth2Error):  # type: ignore[misc]
    """The DPoP proof is missing, malformed or does not fit the request (RFC 9449 §4.3, §5)."""

    error = "invalid_dpop_proof"


class InvalidDetails(OAuth2Error):  # type: ignore[misc]
    """The authorization_details are malformed, unknown or over a bound (RFC 9396 §5).

    `bound` names the limit in extra members of the answer (`limit`, `max`, `asked`, `member`), never in words sent in.
    """

    error = "invalid_authorization_details"

    def __init__(self, description: str, bound: Mapping[str, str | int] | None = None) -> None:
        super().__init__(description)
        self.bound = dict(bound or {})


class RequestNotSupported(OAuth2Error):  # type: ignore[misc]
    """A request object was sent; this server takes plain pushed parameters."""

    error = "request_not_supported"


class WrongVerb(OAuth2Error):  # type: ignore[misc]
    """The endpoint takes POST only."""

    error = "invalid_request"
    status_code = 405


class ServerBusy(OAuth2Error):  # type: ignore[misc]
    """A store that the decision needs did not answer: fail closed."""

    error = "temporarily_unavailable"
    status_code = 503


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole HTTP answer. `body` None is an empty body."""

    status: int
    body: Mapping[str, object] | None
    headers: tuple[tuple[str, str], ...] = NO_STORE

    @property
    def content(self) -> bytes:
        """The body as JSON, ASCII only."""
        return b"" if self.body is None else json.dumps(self.body, separators=(",", ":")).encode("ascii")


def reply_of_error(error: OAuth2Error | Refusal) -> Reply:
    """Any typed error as JSON: never a redirect, the caller's words or cached (RFC 6749 §5.2, RFC 9126 §2.3)."""
    if isinstance(error, Refusal):
        error = details_error(error)
    body: dict[str, object] = {"error": str(error.error)}
    sentence = _SENTENCES.get(str(error.error), str(error.description or ""))
    if sentence:
        body["error_description"] = _ascii(sentence)
    if isinstance(error, InvalidDetails):
        body |= error.bound
    status = 401 if isinstance(error, InvalidClientError) else int(error.status_code)
    headers = NO_STORE + ((("Allow", "POST"),) if isinstance(error, WrongVerb) else ())
    return Reply(status, body, headers)


def details_error(refusal: Refusal) -> InvalidDetails:
    """A refusal of the law as invalid_authorization_details, naming the bound."""
    bound = {name: refusal.extra[name] for name in _MEMBERS if isinstance(refusal.extra.get(name), (str, int))}
    named = ", ".join(f"{name} {value}" for name, value in bound.items())
    return InvalidDetails(_ascii(f"{refusal.detail or refusal.code}" + (f": {named}" if named else "")), bound)


def _ascii(text: str) -> str:
    """Only what RFC 6749 §5.2 allows: %x20-21 / %x23-5B / %x5D-7E."""
    return "".join(char if " " <= char <= "~" and char not in '"\\' else "?" for char in text)
