"""The two grants: authorization code with PKCE S256 (RFC 6749 §4.1, RFC 7636) and refresh without rotation (§6).

Authlib holds the order of checks; what is asked at each station is answered from the case.
"""

from __future__ import annotations

import hmac
from typing import Any, Final

from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant, RefreshTokenGrant
from authlib.oauth2.rfc7636 import CodeChallenge
from authlib.oauth2.rfc7636.challenge import CODE_VERIFIER_PATTERN, create_s256_code_challenge

from consent.grant import GrantState, Terms
from consent.oauth.bank import AUTH_METHOD, BankView
from consent.oauth.code import LIFETIME_S, AuthCode, new_code
from consent.oauth.effects import CodeReplayed, end_tokens
from consent.oauth.errors import InvalidGrantError, InvalidRequestError
from consent.oauth.token import REFRESH, TokenView, digest

_OPEN: Final = (GrantState.ACTIVE, GrantState.NOT_YET)


def _s256_matches(verifier: str, challenge: str) -> bool:
    return hmac.compare_digest(create_s256_code_challenge(verifier), challenge)


class S256Only(CodeChallenge):  # type: ignore[misc]
    """PKCE that is required and S256. Authlib's own defaults are optional and plain."""

    DEFAULT_CODE_CHALLENGE_METHOD = "S256"
    SUPPORTED_CODE_CHALLENGE_METHOD: Final = ["S256"]
    CODE_CHALLENGE_METHODS: Final = {"S256": _s256_matches}

    def validate_code_challenge(self, grant: Any, redirect_uri: object) -> None:
        """At the authorization request. Raises InvalidRequestError."""
        form = grant.request.form
        if not form.get("code_challenge") or form.get("code_challenge_method") != "S256":
            raise InvalidRequestError("PKCE with code_challenge_method S256 is required")
        super().validate_code_challenge(grant, redirect_uri)

    def validate_code_verifier(self, grant: Any, result: object) -> None:
        """At the token request: a missing, malformed or wrong verifier is invalid_grant (FAPI 2.0)."""
        if CODE_VERIFIER_PATTERN.fullmatch(grant.request.form.get("code_verifier", "")) is None:
            raise InvalidGrantError("code_verifier is missing or malformed")
        super().validate_code_verifier(grant, result)


class FapiCodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]
    """A code is good for its client, its redirect URI, its challenge, its key, its grant, once, for 60 seconds."""

    TOKEN_ENDPOINT_AUTH_METHODS: Final = [AUTH_METHOD]

    def authenticate_token_endpoint_client(self) -> BankView:
        """Done before, because replay keys are claimed before codes are."""
        return _client(self.server)

    def generate_authorization_code(self) -> str:
        """256 bits from `secrets`, not Authlib's character loop."""
        return new_code()

    def save_authorization_code(self, code: str, request: Any) -> None:
        """Leave the code in the case: bound to everything the pushed request named and to the grant."""
        case, form = self.server.case, request.form
        agreed: Terms = case.agreed
        case.code_value = code
        case.code = AuthCode(
            client_id=form["client_id"],
            redirect_uri=form["redirect_uri"],
            code_challenge=form["code_challenge"],
            jkt=form.get("dpop_jkt", ""),
            grant_id=agreed.id,
            grant_version=agreed.version,
            expires_ms=case.now_ms + LIFETIME_S * 1000,
        )

    def query_authorization_code(self, _: str, client: BankView) -> AuthCode | None:
        """The loaded code if it may be redeemed now. Raises CodeReplayed for one that its own client used before."""
        case = self.server.case
        found: AuthCode | None = case.loaded.code
        if found is None or found.client_id != client.client_id:
            return None
        if found.used_ms:
            grant: Terms | None = case.loaded.grant
            if grant is None:
                return None
            raise CodeReplayed(end_tokens(grant, "code_replayed"))
        return found if case.now_ms < found.expires_ms else None

    def delete_authorization_code(self, authorization_code: AuthCode) -> None:
        """The flow claims it atomically and leaves a tombstone."""

    def authenticate_user(self, authorization_code: AuthCode) -> Terms:
        """The grant behind the code, still in force, and the key the code was bound to. Raises InvalidGrantError."""
        case = self.server.case
        if case.proof is not None and authorization_code.jkt not in ("", case.proof.jkt):
            raise InvalidGrantError("the DPoP proof was made with another key than the request")
        grant = _open_grant(self.server, authorization_code.grant_id)
        if grant.version != authorization_code.grant_version:
            raise InvalidGrantError("the consent behind the code has changed")
        return grant


class FapiRefreshGrant(RefreshTokenGrant):  # type: ignore[misc]
    """A refresh token is bound to its client and its grant, is not rotated and may only narrow.

    It is not bound to the key: a confidential client may change its DPoP key (RFC 9449 §5); the new access token is
    bound to the key of this request's proof.
    """

    TOKEN_ENDPOINT_AUTH_METHODS: Final = [AUTH_METHOD]
    INCLUDE_NEW_REFRESH_TOKEN = False

    def authenticate_token_endpoint_client(self) -> BankView:
        """Done before, because replay keys are claimed first."""
        return _client(self.server)

    def authenticate_refresh_token(self, refresh_token: str) -> TokenView | None:
        """The loaded refresh token while it is live."""
        case = self.server.case
        found: TokenView | None = case.loaded.token
        if found is None or found.hash != digest(refresh_token) or found.kind != REFRESH:
            return None
        return found if found.live(case.now_ms) else None

    def authenticate_user(self, refresh_token: TokenView) -> Terms:
        """The grant behind the token, still in force. Raises InvalidGrantError."""
        return _open_grant(self.server, refresh_token.grant_id)

    def revoke_old_credential(self, refresh_token: TokenView) -> None:
        """No rotation: the same token stays good."""


def _client(server: Any) -> BankView:
    client: BankView = server.case.client
    return client


def _open_grant(server: Any, grant_id: str) -> Terms:
    case = server.case
    grant: Terms | None = case.loaded.grant
    if grant is None or grant.id != grant_id or grant.client_id != case.client.client_id:
        raise InvalidGrantError("the consent does not hold")
    if grant.state(case.now_ms) not in _OPEN:
        raise InvalidGrantError("the consent has ended")
    return grant
