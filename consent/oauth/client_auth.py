"""private_key_jwt (RFC 7523 §2.2, §3; FAPI 2.0 §5.3.2.1): which bank is asking.

Authlib's assertion class gives the frame (dispatch by assertion type, client look-up, method check); what it leaves
open is closed here: algorithms, key choice, `aud` as one string, bounded `exp`, replay as a value, not a look-up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Final

import msgspec
from authlib.oauth2.rfc7523 import JWTBearerClientAssertion

from consent.oauth.bank import AUTH_METHOD, BankView
from consent.oauth.errors import InvalidClientError
from consent.oauth.jose import Malformed, header_of, verify_jws
from consent.oauth.onetime import ASSERTION_PREFIX, Replay
from consent.oauth.request import ASSERTION_TYPE, FapiRequest

MAX_TERM_S: Final = 300
"""How far ahead `exp` may lie. It bounds the replay memory."""
SKEW_S: Final = 10
AHEAD_S: Final = 30
"""Seconds `iat` and `nbf` may lie ahead: 10 must pass, more than 60 must not."""
_TYPES: Final = (None, "JWT", "jwt", "client-authentication+jwt", "application/jwt")


class _Claims(msgspec.Struct):
    iss: str
    sub: str
    aud: str
    exp: int | float
    jti: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    iat: int | float | None = None
    nbf: int | float | None = None


_decode: Final = msgspec.json.Decoder(_Claims).decode


class FapiPrivateKeyJwt(JWTBearerClientAssertion):  # type: ignore[misc]
    """One authentication: `replay` is set when it succeeded and must be claimed by the flow."""

    CLIENT_AUTH_METHOD = AUTH_METHOD

    def __init__(self, issuer: str, now_s: float) -> None:
        super().__init__(validate_jti=False, leeway=SKEW_S)
        self._issuer = issuer
        self._now_s = now_s
        self.replay: Replay | None = None

    def __call__(self, query_client: Callable[[str], BankView | None], request: FapiRequest) -> BankView:
        """The authenticated bank. Raises InvalidClientError for every other outcome.

        1. an assertion of the right type  2. signed by a key of the bank it names, in that bank's algorithm
        3. claims in order  4. `client_id`, if sent, is the same bank (Authlib never compares)  5. not suspended
        """
        client = query_client(request.claimed_client_id)
        assertion = request.form.get("client_assertion", "")
        if client is None or request.form.get("client_assertion_type") != ASSERTION_TYPE:
            raise InvalidClientError(description="the client assertion does not hold")
        self.replay = self._check(self._verified(assertion, client), client)
        if request.form.get("client_id", client.client_id) != client.client_id:
            raise InvalidClientError(description="client_id and client assertion name different clients")
        if not client.active:
            raise InvalidClientError(description="the client is suspended")
        request.client = client
        authenticated: BankView = self.authenticate_client(client)
        return authenticated

    def _verified(self, assertion: str, client: BankView) -> _Claims:
        try:
            header = header_of(assertion)
            ring = tuple(each for each in client.keys if each.fits(client.alg))
            if {"EdDSA": "Ed25519"}.get(header["alg"], header["alg"]) != client.alg or header.get("typ") not in _TYPES:
                raise Malformed("another algorithm or type than registered")
            payload = verify_jws(assertion, ring)
        except Malformed:
            raise InvalidClientError(description="the client assertion does not hold") from None
        try:
            return _decode(payload)
        except (ValueError, RecursionError):
            raise InvalidClientError(
                description="the client assertion needs iss, sub, aud (the issuer as one string), exp and jti"
            ) from None

    def _check(self, claims: _Claims, client: BankView) -> Replay:
        if claims.iss != client.client_id or claims.sub != client.client_id:
            raise InvalidClientError(description="iss and sub of the client assertion must be the client_id")
        if claims.aud != self._issuer:
            raise InvalidClientError(description="aud of the client assertion must be the issuer, as one string")
        now = self._now_s
        if claims.exp <= now - SKEW_S:
            raise InvalidClientError(description="the client assertion has expired")
        if claims.exp > now + MAX_TERM_S + SKEW_S:
            raise InvalidClientError(description="exp of the client assertion lies more than 300 seconds ahead")
        if max(claims.iat or 0, claims.nbf or 0) > now + AHEAD_S:
            raise InvalidClientError(description="the client assertion is from the future")
        # Without iat the earliest use follows from the bound on exp. With it, the client's word counts: taking its
        # possible skew off as well would refuse every honest client for a minute after each restart of the memory.
        earliest = claims.exp - MAX_TERM_S - SKEW_S if claims.iat is None else min(claims.iat, now)
        key = f"{ASSERTION_PREFIX}{client.client_id}:{claims.jti}"
        return Replay(key, _ms(max(earliest, 0)), _ms(claims.exp + SKEW_S + 1))


def _ms(seconds: Any) -> int:
    return int(seconds * 1000)
