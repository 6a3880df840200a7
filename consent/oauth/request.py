"""The request layer: a form body becomes a request that Authlib's classes read, or a typed error.

Stricter than Authlib where FAPI 2.0 or safety ask for it: one content type, 64 KiB, no parameter twice, no control
characters, credentials in the body only. RFC 6749 §3.1, §3.2; RFC 9126 §2.1; pitfalls 1, 2, 12, 13 of Authlib.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, Final
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749.requests import OAuth2Payload, OAuth2Request

from consent.oauth import dpop
from consent.oauth.errors import InvalidClientError, InvalidDetails, InvalidRequestError, WrongVerb
from consent.oauth.issuer import Issuer
from consent.oauth.jose import Malformed, decode_json

MAX_BODY: Final = 65_536
"""Bytes of a form body: the largest honest authorization_details is about 20 KB."""
MAX_PARAMETERS: Final = 64
ASSERTION_TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
CLIENT_ID: Final = re.compile(r"[A-Za-z0-9._~-]{1,80}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_CONTROL_IN_JSON = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class Endpoint(StrEnum):
    """The doors that take a form."""

    PUSHED = "pushed"
    TOKEN = "token"
    INTROSPECT = "introspect"
    REVOKE = "revoke"


@dataclass(frozen=True, slots=True)
class RawRequest:
    """What came over the wire. `headers` as ASGI gives them; `body` at most MAX_BODY + 1 bytes of it."""

    method: str
    headers: Iterable[tuple[bytes, bytes]]
    body: bytes
    query: bytes = b""


class _Form(OAuth2Payload):  # type: ignore[misc]
    def __init__(self, form: dict[str, str]) -> None:
        self._form = form

    @property
    def data(self) -> dict[str, str]:
        return self._form

    @property
    def datalist(self) -> dict[str, list[str]]:
        return {name: [value] for name, value in self._form.items()}


class FapiRequest(OAuth2Request):  # type: ignore[misc]
    """A parsed request. `uri` is built from the issuer, `form` holds each parameter once and no empty one."""

    def __init__(self, method: str, uri: str, form: dict[str, str], dpop_proof: str | None = None) -> None:
        super().__init__(method, uri)
        self._form = form
        self.payload = _Form(form)
        self.dpop: str | None = dpop_proof

    @property
    def form(self) -> dict[str, str]:
        """The parameters by name."""
        return self._form

    @property
    def args(self) -> dict[str, str]:
        """Nothing is ever read from the query of an endpoint that takes a form."""
        return {}

    @cached_property
    def claimed_client_id(self) -> str:
        """Who the assertion says it is, unverified: only good for loading the client. Raises InvalidClientError."""
        assertion = self._form.get("client_assertion")
        if assertion is None or self._form.get("client_assertion_type") != ASSERTION_TYPE:
            raise InvalidClientError(description="a private_key_jwt client assertion is required")
        parts = assertion.split(".")
        try:
            claims: Any = decode_json(parts[1]) if len(parts) == 3 else None
        except Malformed:
            claims = None
        claimed = claims.get("sub") if isinstance(claims, dict) else None
        if not isinstance(claimed, str) or CLIENT_ID.fullmatch(claimed) is None:
            raise InvalidClientError(description="the client assertion is malformed")
        return claimed


def parse(issuer: Issuer, endpoint: Endpoint, raw: RawRequest) -> FapiRequest:
    """A request at one of the form endpoints, in numbered steps. Raises OAuth2Error subclasses only.

    1. POST  2. form-encoded, no query  3. size  4. at most one DPoP header, no Authorization header
    5. well-formed UTF-8 pairs  6. no parameter twice  7. no control characters  8. no secret-based authentication
    """
    if raw.method != "POST":
        raise WrongVerb("this endpoint takes POST only")
    headers = [(name.lower(), value) for name, value in raw.headers]
    _check_content_type(headers)
    if raw.query:
        raise InvalidRequestError("parameters belong into the body, not into the address")
    if len(raw.body) > MAX_BODY:
        raise InvalidRequestError("the body is larger than 65536 bytes")
    proof = dpop.only(headers)
    form = _unique(_pairs(raw.body))
    form.pop("scope", None)  # no scope values exist here, and RFC 6749 §3.3 lets a server ignore what it does not know
    if "client_secret" in form or any(name == b"authorization" for name, _ in headers):
        raise InvalidClientError(description="clients authenticate by private_key_jwt only, with one method")
    return FapiRequest("POST", _address(issuer, endpoint), form, proof)


def _address(issuer: Issuer, endpoint: Endpoint) -> str:
    return {
        Endpoint.PUSHED: issuer.pushed_url,
        Endpoint.TOKEN: issuer.token_url,
        Endpoint.INTROSPECT: issuer.introspect_url,
        Endpoint.REVOKE: issuer.revoke_url,
    }[endpoint]


def _check_content_type(headers: list[tuple[bytes, bytes]]) -> None:
    found = [value for name, value in headers if name == b"content-type"]
    kind, _, parameters = found[0].partition(b";") if len(found) == 1 else (b"", b"", b"")
    charset = parameters.strip().lower().replace(b'"', b"")
    if kind.strip().lower() != b"application/x-www-form-urlencoded" or charset not in (b"", b"charset=utf-8"):
        raise InvalidRequestError("the body must be application/x-www-form-urlencoded in UTF-8")


def _pairs(body: bytes) -> list[tuple[str, str]]:
    if not body:
        return []
    try:
        return parse_qsl(
            body.decode("utf-8"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError:
        raise InvalidRequestError("the body is not well-formed") from None


def _unique(pairs: list[tuple[str, str]]) -> dict[str, str]:
    form: dict[str, str] = {}
    for name, value in pairs:
        if name in form:
            if name == "authorization_details":
                raise InvalidDetails("authorization_details must be sent once, as one JSON text")
            raise InvalidRequestError("a parameter was sent twice")
        # Pretty-printed JSON is JSON: its line breaks are let through here and end in the JSON parser.
        pattern = _CONTROL_IN_JSON if name == "authorization_details" else _CONTROL
        if _CONTROL.search(name) or pattern.search(value):
            raise InvalidRequestError("a parameter holds a control character")
        form[name] = value
    return {name: value for name, value in form.items() if value}


def query_pairs(query: bytes) -> dict[str, str]:
    """The parameters of an address, under the same rules as a body. Raises InvalidRequestError."""
    if len(query) > MAX_BODY:
        raise InvalidRequestError("the address is too long")
    return _unique(_pairs(query))
