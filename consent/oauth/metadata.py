"""Authorization server metadata (RFC 8414): computed from what is registered, so it cannot promise anything else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from authlib.oauth2 import rfc8414, rfc9207

from consent.oauth.introspect import OwnTokens
from consent.oauth.issuer import Rules
from consent.oauth.jose import SIGNING
from consent.oauth.rar import TYPE
from consent.oauth.revoke import WholeGrant
from consent.oauth.server import Case, ConsentServer


def document(rules: Rules) -> dict[str, Any]:
    """The document, validated by Authlib (RFC 8414, RFC 9207). Raises ValueError when it contradicts itself."""
    server = ConsentServer(rules, Case(datetime.fromtimestamp(0, UTC)))
    issuer = rules.issuer
    algorithms = list(SIGNING)
    grants = [grant for grant, _ in server._token_grants]
    methods = sorted({method for grant in grants for method in grant.TOKEN_ENDPOINT_AUTH_METHODS})
    pkce = [each for _, extensions in server._authorization_grants for each in extensions]
    members: dict[str, Any] = {
        "issuer": issuer.url,
        "authorization_endpoint": issuer.authorize_url,
        "pushed_authorization_request_endpoint": issuer.pushed_url,
        "require_pushed_authorization_requests": True,
        "token_endpoint": issuer.token_url,
        "response_types_supported": sorted(
            kind for grant, _ in server._authorization_grants for kind in grant.RESPONSE_TYPES
        ),
        "response_modes_supported": ["query"],
        "grant_types_supported": [grant.GRANT_TYPE for grant in grants],
        "code_challenge_methods_supported": sorted({m for each in pkce for m in each.SUPPORTED_CODE_CHALLENGE_METHOD}),
        "token_endpoint_auth_methods_supported": methods,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
        "dpop_signing_alg_values_supported": algorithms,
        "authorization_details_types_supported": [TYPE],
        "authorization_response_iss_parameter_supported": True,
    }
    for name, endpoint, url in (
        ("introspection", OwnTokens, issuer.introspect_url),
        ("revocation", WholeGrant, issuer.revoke_url),
    ):
        if server._endpoints.get(endpoint.ENDPOINT_NAME):
            members[f"{name}_endpoint"] = url
            members[f"{name}_endpoint_auth_methods_supported"] = list(endpoint.CLIENT_AUTH_METHODS)
            members[f"{name}_endpoint_auth_signing_alg_values_supported"] = algorithms
    checked = rfc8414.AuthorizationServerMetadata(members)
    checked.validate(metadata_classes=[rfc9207.AuthorizationServerMetadata])
    return members
