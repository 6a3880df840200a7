"""requests_oauth2client, a client that nobody here wrote, drives whole flows: PAR, private_key_jwt, DPoP, S256, RAR.

Its transport hands the bytes to our decisions, so everything between the two is what goes over a wire.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from io import BytesIO
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from jwskate import Jwk
from requests.adapters import BaseAdapter
from requests_oauth2client import AuthorizationRequest, DPoPKey, OAuth2Client, PrivateKeyJwt
from requests_oauth2client.exceptions import EndpointError, InvalidGrant

from consent.oauth import decide
from consent.oauth.errors import OAuth2Error as OurError
from consent.oauth.errors import reply_of_error
from consent.oauth.metadata import document
from consent.oauth.request import RawRequest
from tests.consent.oauth.people import CALLBACK, DETAILS, RULES, Desk, Person


class Wire(BaseAdapter):
    """From a prepared request to a decision and back."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self.desk = desk

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:  # type: ignore[override]
        self.desk.now = datetime.now(UTC)
        parts = urlsplit(str(request.url))
        door = {
            "/oauth/par": self.desk.push,
            "/oauth/token": self.desk.token,
            "/oauth/introspect": self.desk.introspect,
            "/oauth/revoke": self.desk.revoke,
        }[parts.path]
        body = request.body.encode() if isinstance(request.body, str) else request.body or b""
        headers = [(name.lower().encode(), str(value).encode()) for name, value in request.headers.items()]
        try:
            reply = door(RawRequest(str(request.method), headers, bytes(body), parts.query.encode()))
        except OurError as error:
            reply = reply_of_error(error)
        response = requests.Response()
        response.status_code, response.url, response.request = reply.status, str(request.url), request
        response.headers.update(dict(reply.headers))
        response.raw = BytesIO(reply.content)
        return response

    def close(self) -> None:
        """Nothing is open."""


def client_of(person: Person, desk: Desk) -> OAuth2Client:
    session = requests.Session()
    session.mount("http://", Wire(desk))
    metadata = document(RULES)
    private = Jwk(dict(person.key.as_dict(private=True)) | {"alg": person.jose_alg})
    return OAuth2Client(
        token_endpoint=metadata["token_endpoint"],
        pushed_authorization_request_endpoint=metadata["pushed_authorization_request_endpoint"],
        authorization_endpoint=metadata["authorization_endpoint"],
        revocation_endpoint=metadata["revocation_endpoint"],
        introspection_endpoint=metadata["introspection_endpoint"],
        issuer=metadata["issuer"],
        redirect_uri=CALLBACK,
        auth=PrivateKeyJwt(person.client_id, private, aud=metadata["issuer"]),
        session=session,
        authorization_response_iss_parameter_supported=True,
        dpop_bound_access_tokens=True,
        testing=True,
    )


def asking(client: OAuth2Client, alg: str, **extra: Any) -> AuthorizationRequest:
    details = json.dumps([DETAILS])
    return client.authorization_request(
        scope=None, authorization_details=details, dpop=True, dpop_key=DPoPKey.generate(alg=alg), **extra
    )


@pytest.mark.parametrize("alg", ["ES256", "PS256", "EdDSA"])
def test_a_whole_flow_with_a_client_of_others(alg: str) -> None:
    person = Person("bank-alpha", "Ed25519" if alg == "EdDSA" else alg, jose_alg=alg)
    desk = Desk({"bank-alpha": person})
    client = client_of(person, desk)
    request = asking(client, alg)
    pushed = client.pushed_authorization_request(request)
    query = dict(parse_qsl(urlsplit(str(pushed.uri)).query))
    visited = desk.visit(query["request_uri"], query["client_id"])
    yes = decide.decide_yes(RULES, visited, desk.give(visited), now=desk.now)
    desk.codes[yes.code_key] = yes.code
    response = request.validate_callback(yes.location)
    token = client.authorization_code(response)
    assert token.token_type.lower() == "dpop" and str(token.access_token).startswith("xat_")
    details: Any = token.authorization_details
    assert details[0]["subject"] == DETAILS["subject"]
    again = client.refresh_token(token)
    assert again.refresh_token == token.refresh_token
    described = client.introspect_token(token.access_token)
    assert described["active"] and described["cnf"]["jkt"] == token.dpop_key.dpop_jkt
    with pytest.raises(InvalidGrant):
        client.authorization_code(response)
    assert client.introspect_token(again.access_token) == {"active": False}
    assert client.revoke_access_token(again.access_token)


def test_a_list_passed_where_json_text_belongs_is_a_clear_400() -> None:
    person = Person("bank-alpha")
    desk = Desk({"bank-alpha": person})
    client = client_of(person, desk)
    request = client.authorization_request(scope=None, authorization_details=["type", "uscc"])
    with pytest.raises(EndpointError) as caught:
        client.pushed_authorization_request(request)
    assert (caught.value.response.status_code, caught.value.error) == (400, "invalid_authorization_details")
