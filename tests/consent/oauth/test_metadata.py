"""Server metadata tells what is there and nothing else: RFC 8414, 9126 §5, 9207 §3, 9396 §10, 9449 §5.1."""

from __future__ import annotations

import pytest
from authlib.oauth2.rfc8414 import get_well_known_url

from consent import catalogue
from consent.oauth.errors import OAuth2Error
from consent.oauth.issuer import Issuer, Rules
from consent.oauth.metadata import document
from tests.consent.oauth.people import RULES, Desk, Person, raw, refusal

KEY = b"0123456789abcdef"


def test_rfc8414_2_the_document_of_the_sandbox() -> None:
    members = document(RULES)
    assert members["issuer"] == RULES.issuer.url
    assert members["response_types_supported"] == ["code"]
    assert members["code_challenge_methods_supported"] == ["S256"]
    assert members["grant_types_supported"] == ["authorization_code", "refresh_token"]
    assert members["require_pushed_authorization_requests"] is True
    assert members["authorization_response_iss_parameter_supported"] is True
    assert members["authorization_details_types_supported"] == ["urn:xyd:enterprise-data:1"]
    assert set(members["dpop_signing_alg_values_supported"]) <= {"PS256", "ES256", "EdDSA", "Ed25519"}
    for name in ("token", "introspection", "revocation"):
        assert members[f"{name}_endpoint_auth_methods_supported"] == ["private_key_jwt"]
        assert members[f"{name}_endpoint_auth_signing_alg_values_supported"]
    assert all(value.startswith(RULES.issuer.url) for name, value in members.items() if name.endswith("_endpoint"))
    assert not {"jwks_uri", "registration_endpoint", "scopes_supported"} & set(members)


@pytest.mark.parametrize(
    "url", ["https://node.example", "https://node.example/city", "http://127.0.0.1:1", "http://[::1]:1"]
)
def test_rfc8414_3_1_issuer_and_well_known_path(url: str) -> None:
    issuer = Issuer(url, KEY)
    assert document(Rules(issuer, catalogue.load()))["issuer"] == url
    assert issuer.metadata_path == get_well_known_url(url)
    assert issuer.loopback is url.startswith("http:")


@pytest.mark.parametrize(
    "url",
    [
        "http://node.example", "https://node.example/", "https://node.example?x", "https://node.example#x", "https://",
        "https://u@node.example", "ftp://node.example", "http://localhost:80@attacker.example",
        "https://节点.example", "",
    ],
)  # fmt: skip
def test_rfc8414_2_an_issuer_is_https_without_query_fragment_or_user(url: str) -> None:
    with pytest.raises(ValueError):
        Issuer(url, KEY)


def test_a_short_pairwise_key_is_refused() -> None:
    with pytest.raises(ValueError):
        Issuer("https://node.example", b"short")


def test_what_is_not_advertised_is_refused(desk: Desk, alpha: Person) -> None:
    members = document(RULES)
    for grant_type in ("password", "client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"):
        assert grant_type not in members["grant_types_supported"]
        with pytest.raises(OAuth2Error) as caught:
            desk.redeem(alpha, "code", grant_type=grant_type)
        assert refusal(caught.value) == (400, "unsupported_grant_type")
    with pytest.raises(OAuth2Error):
        desk.push(raw(alpha.push_form(request="a.b.c")))
