"""Token revocation (RFC 7009): revoking any token of a grant ends all of its tokens at once.

The answer is 200 whatever was named, so nothing can be learnt from it; another bank's token is left alone.
"""

from __future__ import annotations

from typing import Any, Final

from authlib.oauth2.rfc7009 import RevocationEndpoint

from consent.oauth.bank import AUTH_METHOD, BankView
from consent.oauth.errors import InvalidRequestError
from consent.oauth.token import TokenView, digest


class WholeGrant(RevocationEndpoint):  # type: ignore[misc]
    """Notes in the case whether the grant's tokens end."""

    CLIENT_AUTH_METHODS: Final = [AUTH_METHOD]

    def authenticate_endpoint_client(self, request: Any) -> BankView:
        """Done before, because replay keys are claimed first."""
        client: BankView = self.server.case.client
        request.client = client
        return client

    def authenticate_token(self, request: Any, client: BankView) -> TokenView | None:
        """The loaded token if it is this bank's and not ended; hints are ignored (§2.1). Raises InvalidRequestError."""
        if "token" not in request.form:
            raise InvalidRequestError("token is missing")
        found: TokenView | None = self.server.case.loaded.token
        if found is None or found.hash != digest(request.form["token"]) or not found.check_client(client):
            return None
        return found if found.ended_ms == 0 else None

    def revoke_token(self, token: TokenView, request: Any) -> None:  # noqa: ARG002 - Authlib's signature
        """Left to the flow."""
        self.server.case.ended = True
