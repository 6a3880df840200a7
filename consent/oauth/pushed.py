"""Pushed authorization requests (RFC 9126): what is kept between the bank's push and the enterprise's decision.

A `request_uri` is bound to its client, lives less than 600 seconds and is consumed by the decision, not by a visit: a
phone that reloads the page must see it again (FAPI 2.0 §5.3.2.2).
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from consent.catalogue import Catalogue
from consent.oauth.bank import BankView
from consent.oauth.details import AskedConsent
from consent.oauth.errors import InvalidProof, InvalidRequestError, RequestNotSupported
from consent.oauth.errors import UnsupportedResponseTypeError as WrongResponseType
from consent.oauth.request import CLIENT_ID, FapiRequest, query_pairs
from consent.oauth.token import digest

URN: Final = "urn:ietf:params:oauth:request_uri:"
LIFETIME_S: Final = 540
"""Below the 600 seconds that FAPI 2.0 allows."""
MAX_STATE: Final = 512
_STATE = re.compile(r"[\x20-\x7e]*")
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_REQUEST_URI = re.compile(re.escape(URN) + r"[A-Za-z0-9_-]{43}")
_THUMBPRINT = _CHALLENGE


@dataclass(frozen=True, slots=True)
class Pushed:
    """A checked request that waits for a decision. `state` None = none was sent; `dpop_jkt` "" = no key named."""

    client_id: str
    redirect_uri: str
    state: str | None
    code_challenge: str
    dpop_jkt: str
    asked: AskedConsent
    expires_ms: int

    def dump(self, catalogue: Catalogue) -> str:
        """As JSON for the short-lived store."""
        members: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__ if name != "asked"}
        return msgspec.json.encode(members | {"asked": self.asked.pack(catalogue)}).decode()

    @staticmethod
    def load(text: str | bytes, catalogue: Catalogue) -> Pushed:
        """Back from the store. Raises InvalidDetails when the template changed meanwhile."""
        members = msgspec.json.decode(text)
        return Pushed(**(members | {"asked": AskedConsent.unpack(members["asked"], catalogue)}))

    def request(self, uri: str) -> FapiRequest:
        """The authorization request that was pushed, as Authlib's grants read it."""
        form = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "code_challenge": self.code_challenge,
            "code_challenge_method": "S256",
        }
        if self.dpop_jkt:
            form["dpop_jkt"] = self.dpop_jkt
        if self.state is not None:
            form["state"] = self.state
        return FapiRequest("GET", uri, form)


@dataclass(frozen=True, slots=True)
class Visit:
    """What the browser brought to the authorization endpoint; everything beside these two is ignored (RFC 9126 §4)."""

    client_id: str
    request_uri: str

    @property
    def key(self) -> str:
        """Where the pushed request is stored."""
        return pushed_key(self.request_uri)

    @staticmethod
    def parse(query: bytes) -> Visit:
        """Read an address's query. Raises InvalidRequestError: show a page, never redirect."""
        members = query_pairs(query)
        client_id, request_uri = members.get("client_id", ""), members.get("request_uri", "")
        if CLIENT_ID.fullmatch(client_id) is None or _REQUEST_URI.fullmatch(request_uri) is None:
            raise InvalidRequestError("requests must be pushed first: client_id and request_uri are needed")
        return Visit(client_id, request_uri)


def new_request_uri() -> str:
    """A fresh request_uri: 256 random bits."""
    return URN + secrets.token_urlsafe(32)


def pushed_key(request_uri: str) -> str:
    """Where a pushed request is stored: by the hash of its address."""
    return f"pushed:{digest(request_uri)}"


def check_shape(request: FapiRequest, client: BankView) -> None:
    """Everything about a pushed request that Authlib would not ask, or would answer in the caller's words. OAuth2Error.

    1. no request object, no nested request_uri  2. response_type, response_mode  3. redirect_uri named and registered
    4. PKCE present and S256  5. state short and printable
    """
    form = request.form
    if "request" in form:
        raise RequestNotSupported("request objects are not supported; push plain parameters")
    if "request_uri" in form:
        raise InvalidRequestError("request_uri must not be pushed")
    if form.get("response_type") != "code":
        raise _response_type_error(form)
    if form.get("response_mode", "query") != "query":
        raise InvalidRequestError("response_mode must be query")
    if not client.check_redirect_uri(form.get("redirect_uri", "")):
        raise InvalidRequestError("redirect_uri must be one of the registered ones, letter by letter")
    if _CHALLENGE.fullmatch(form.get("code_challenge", "")) is None or form.get("code_challenge_method") != "S256":
        raise InvalidRequestError("PKCE with code_challenge_method S256 is required")
    state = form.get("state", "")
    if len(state) > MAX_STATE or _STATE.fullmatch(state) is None:
        raise InvalidRequestError("state must be at most 512 printable ASCII characters")


def _response_type_error(form: dict[str, str]) -> InvalidRequestError | WrongResponseType:
    if "response_type" not in form:
        return InvalidRequestError("response_type is missing")
    return WrongResponseType("")


def bound_key(form: dict[str, str], proof_jkt: str | None) -> str:
    """The key a code will be bound to: dpop_jkt, the proof's, both if equal, or "" (RFC 9449 §10.1). OAuth2Error."""
    named = form.get("dpop_jkt")
    if named is not None and _THUMBPRINT.fullmatch(named) is None:
        raise InvalidRequestError("dpop_jkt must be a SHA-256 thumbprint")
    if named is not None and proof_jkt is not None and named != proof_jkt:
        raise InvalidProof("dpop_jkt names another key than the DPoP proof")
    return named or proof_jkt or ""
