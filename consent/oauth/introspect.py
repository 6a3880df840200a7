"""Introspection (RFC 7662): a bank asks about its own tokens; anybody else's look exactly like unknown ones.

Authlib's payload knows neither `cnf` (RFC 9449 §6.2) nor `authorization_details` (RFC 9396 §9.2).
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from typing import Any, Final

from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from consent.enterprise import CreditCode
from consent.grant import Terms
from consent.oauth.bank import AUTH_METHOD, BankView
from consent.oauth.errors import InvalidRequestError
from consent.oauth.granted import granted_details
from consent.oauth.issuer import Issuer, Rules
from consent.oauth.token import ACCESS, TokenView, digest


def pairwise_subject(issuer: Issuer, client_id: str, enterprise: CreditCode) -> str:
    """The enterprise's identifier towards one bank: HMAC-SHA-256, 43 characters; two banks cannot compare theirs."""
    message = f"{client_id}\n{enterprise}".encode()
    return urlsafe_b64encode(hmac.new(issuer.pairwise_key, message, hashlib.sha256).digest()).rstrip(b"=").decode()


class OwnTokens(IntrospectionEndpoint):  # type: ignore[misc]
    """Active tokens of the asking bank are described; every other answer is `{"active": false}` and nothing more."""

    CLIENT_AUTH_METHODS: Final = [AUTH_METHOD]

    def authenticate_endpoint_client(self, request: Any) -> BankView:
        """Done before, because replay keys are claimed first."""
        client: BankView = self.server.case.client
        request.client = client
        return client

    def check_params(self, request: Any, client: BankView) -> None:  # noqa: ARG002 - Authlib's signature
        """A token must be named; a hint is a hint and never an error. Raises InvalidRequestError."""
        if "token" not in request.form:
            raise InvalidRequestError("token is missing")

    def query_token(self, token_string: str, *_: str | None) -> TokenView | None:
        """The loaded token, if it is the one named."""
        found: TokenView | None = self.server.case.loaded.token
        return found if found is not None and found.hash == digest(token_string) else None

    def check_permission(self, token: TokenView, client: BankView, *_: object) -> bool:
        """Own tokens, by a bank that is admitted to introspection."""
        return client.introspects and token.check_client(client)

    def create_introspection_payload(self, token: TokenView | None) -> dict[str, Any]:
        """RFC 7662 §2.2."""
        case = self.server.case
        grant: Terms | None = case.loaded.grant
        if token is None or grant is None or not token.active(grant, case.now_ms):
            return {"active": False}
        return describe(token, grant, self.server.rules)


def describe(token: TokenView, grant: Terms, rules: Rules) -> dict[str, Any]:
    """What an active token is. `exp` and `iat` in whole seconds."""
    payload: dict[str, Any] = {
        "active": True,
        "iss": rules.issuer.url,
        "aud": rules.issuer.resource_url,
        "sub": pairwise_subject(rules.issuer, token.client_id, grant.enterprise),
        "client_id": token.client_id,
        "iat": token.issued_ms // 1000,
        "exp": token.expires_ms // 1000,
        "grant_id": grant.id,
        "authorization_details": granted_details(grant, token.scope(grant, rules.catalogue), rules),
    }
    if token.kind == ACCESS:
        payload |= {"token_type": "DPoP", "cnf": {"jkt": token.jkt}}
    return payload
