"""Authlib's authorization server told our rules: one object for one decision, over what the flow has loaded.

Authlib gives grant dispatch, client authentication, the order of checks in code and refresh grants, PKCE's place in
them, the authorization response with `iss` (RFC 9207) and the introspection and revocation frames. It reads a `Case`
and writes its effects into it; errors are raised to the flow, never turned into redirects on a form endpoint.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from authlib.oauth2.rfc6749 import AuthorizationServer
from authlib.oauth2.rfc9207 import IssuerParameter

from consent.errors import Refusal
from consent.grant import Terms
from consent.oauth.bank import AUTH_METHOD, BankView
from consent.oauth.client_auth import FapiPrivateKeyJwt
from consent.oauth.code import AuthCode
from consent.oauth.dpop import Proof
from consent.oauth.effects import Loaded
from consent.oauth.errors import InvalidProof, OAuth2Error, details_error
from consent.oauth.granted import granted_details, narrow
from consent.oauth.grants import FapiCodeGrant, FapiRefreshGrant, S256Only
from consent.oauth.introspect import OwnTokens
from consent.oauth.issuer import Rules
from consent.oauth.request import FapiRequest
from consent.oauth.revoke import WholeGrant
from consent.oauth.token import ACCESS, REFRESH, AccessToken, born

_AUTHLIB: Final = logging.getLogger("authlib")


@dataclass
class Case:
    """The papers of one decision: what is known, and what it leaves behind."""

    now: datetime
    client: BankView | None = None
    proof: Proof | None = None
    loaded: Loaded = field(default_factory=Loaded)
    agreed: Terms | None = None
    code_value: str = ""
    code: AuthCode | None = None
    tokens: list[AccessToken] = field(default_factory=list)
    ended: bool = False

    @property
    def now_ms(self) -> int:
        """The instant in integer milliseconds."""
        return int(self.now.timestamp() * 1000)


@dataclass
class Answer:
    """A response as Authlib's hooks expect it: with a location they may rewrite."""

    status: int
    body: Any
    location: str


class _Issuer(IssuerParameter):  # type: ignore[misc]
    def __init__(self, url: str) -> None:
        self._url = url

    def get_issuer(self) -> str:
        return self._url


class ConsentServer(AuthorizationServer):  # type: ignore[misc]
    """One decision. `rules` are the node's, `case` is this request's."""

    def __init__(self, rules: Rules, case: Case) -> None:
        # Authlib logs freshly issued tokens at DEBUG, so that level is closed, whatever a logging set-up said before.
        if _AUTHLIB.getEffectiveLevel() < logging.INFO:
            _AUTHLIB.setLevel(logging.INFO)
        super().__init__()
        self.rules = rules
        self.case = case
        self.private_key_jwt = FapiPrivateKeyJwt(rules.issuer.url, case.now.timestamp())
        self.register_client_auth_method(AUTH_METHOD, self.private_key_jwt)
        self.register_grant(FapiCodeGrant, [S256Only(required=True)])
        self.register_grant(FapiRefreshGrant)
        self.register_token_generator("default", self.bear_tokens)
        self.register_endpoint(OwnTokens)
        self.register_endpoint(WholeGrant)
        self.register_extension(_Issuer(rules.issuer.url))

    def query_client(self, client_id: str) -> BankView | None:
        """The loaded client, if it is the one asked for."""
        client = self.case.client
        return client if client is not None and client.client_id == client_id else None

    def create_oauth2_request(self, request: FapiRequest) -> FapiRequest:
        """Requests arrive parsed."""
        return request

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Nobody listens: effects are values here."""

    def handle_response(self, status: int, body: Any, headers: list[tuple[str, str]]) -> Answer:
        """The answer as a value."""
        return Answer(status, body, dict(headers).get("Location", ""))

    def handle_error_response(self, request: FapiRequest, error: OAuth2Error) -> Answer:
        """Errors are raised; only the authorization response (method GET) may carry one to the bank's redirect URI."""
        if request.method == "GET" and error.redirect_uri:
            answer: Answer = super().handle_error_response(request, error)
            return answer
        raise error

    def bear_tokens(self, *, grant_type: str, user: Terms, **_: object) -> dict[str, Any]:
        """The token response of a grant (`user` is the enterprise's word: the grant). Rows are left in the case."""
        case, proof = self.case, self.case.proof
        if proof is None:
            raise InvalidProof("a DPoP proof is required")
        form = self._form
        narrower = form.get("authorization_details")
        scope = user.scope if narrower is None else narrow(narrower, user, self.rules)
        items = "" if scope == user.scope else " ".join(scope.encode(self.rules.catalogue))
        access, row = born(ACCESS, user, jkt=proof.jkt, items=items, now_ms=case.now_ms)
        case.tokens.append(row)
        refresh = form.get("refresh_token", "")
        if grant_type == FapiCodeGrant.GRANT_TYPE:
            refresh, refresh_row = born(REFRESH, user, jkt=proof.jkt, items="", now_ms=case.now_ms)
            case.tokens.append(refresh_row)
        return {
            "access_token": access,
            "token_type": "DPoP",
            "expires_in": (row.expires_ms - row.issued_ms) // 1000,
            "refresh_token": refresh,
            "grant_id": user.id,
            "authorization_details": granted_details(user, scope, self.rules),
        }

    def token_response(self, request: FapiRequest) -> dict[str, Any]:
        """The body of a token answer. Raises OAuth2Error."""
        self._form = request.form
        try:
            body: dict[str, Any] = self.create_token_response(request).body
        except Refusal as refusal:
            raise details_error(refusal) from None
        return body

    def save_token(self, token: dict[str, Any], request: FapiRequest) -> None:
        """Rows are in the case already; the flow stores them with their evidence."""
