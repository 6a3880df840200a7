"""A stranger joins with parties.json and a client library nobody here wrote: requests_oauth2client, end to end."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests
from jwskate import Jwk
from requests_oauth2client import DPoPKey, OAuth2Client, PrivateKeyJwt
from requests_oauth2client.exceptions import AuthorizationResponseError, EndpointError, InvalidGrant

from consent.enterprise import CreditCode
from deploy.sandbox.bank_client import BankParty
from node.journal.note import Verifier
from node.journal.receipt_check import verify_receipt
from tests.journeys.actors import Scene, ask

QUERY = {"Idempotency-Key": "of-a-stranger", "Prefer": "wait=5"}


@pytest.fixture
def session(scene: Scene) -> Iterator[requests.Session]:
    """The library's transport; what it carries is put on the trail."""

    def learn(answer: requests.Response, *_: Any, **__: Any) -> None:
        headers = answer.request.headers
        scene.trail.learn(str(headers.get("DPoP", "")), str(headers.get("Authorization", "")).partition(" ")[2])
        if "form" in str(headers.get("Content-Type")):
            scene.trail.learn(*(v for k, v in parse_qsl(str(answer.request.body)) if k in ("client_assertion", "code")))

    with requests.Session() as session:
        session.trust_env = False
        session.hooks["response"].append(learn)
        yield session


def joined(parties: dict[str, Any], session: requests.Session, client_id: str, key: Jwk, redirect: str) -> OAuth2Client:
    """A client made of the issuer's metadata and a key."""
    issuer = parties["issuer"]
    return OAuth2Client.from_discovery_endpoint(
        f"{issuer}/.well-known/oauth-authorization-server",
        issuer=issuer,
        auth=PrivateKeyJwt(client_id, key, aud=issuer),
        redirect_uri=redirect,
        session=session,
        testing=True,
        dpop_bound_access_tokens=True,
    )


@pytest.fixture(scope="module")
def others(scene: Scene, admitted: Callable[..., BankParty]) -> dict[str, tuple[str, Jwk, str]]:
    """A bank for each algorithm: the first from parties.json, the others enrolled beside the running node."""
    first = scene.parties["bank"]
    found = {"ES256": (first["client_id"], Jwk(first["private_jwk"]), first["redirect_uri"])}
    for alg, registered, shown in (("PS256", "PS256", "PS256"), ("EdDSA", "Ed25519", "EdDSA")):
        key = Jwk.generate(alg=alg, kid=f"key-{alg}")
        public = key.public_jwk().to_dict() | {"alg": shown, "use": "sig"}
        bank = admitted(f"bank-{alg.lower()}", alg=registered, jwks={"keys": [public]})
        scene.trail.learn(str(key["d"]))
        found[alg] = (bank.client_id, key, bank.redirect_uri)
    return found


@pytest.mark.parametrize("alg", ["ES256", "PS256", "EdDSA"])
def test_a_stranger_goes_the_whole_way_with_parties_json_alone(
    scene: Scene, session: requests.Session, others: dict[str, tuple[str, Jwk, str]], alg: str
) -> None:
    parties, (client_id, key, redirect_uri) = scene.parties, others[alg]
    client = joined(parties, session, client_id, key, redirect_uri)
    firm = parties["enterprise"]["uscc"]
    details = json.dumps([ask(firm)], ensure_ascii=False)
    dpop = DPoPKey.generate(alg=alg)
    request = client.authorization_request(scope=None, authorization_details=details, dpop=True, dpop_key=dpop)
    pushed = client.pushed_authorization_request(request)
    where = dict(parse_qsl(urlsplit(str(pushed.uri)).query))
    bank = next(each for each in scene.banks if each.client_id == client_id)
    response = request.validate_callback(scene.decide(bank, where["request_uri"]))
    token = client.authorization_code(response)
    assert token.token_type.lower() == "dpop" and token.authorization_details[0]["subject"]["uscc"] == firm
    scene.trail.learn(str(token.access_token), str(token.refresh_token))

    body = {"subject": {"uscc": firm}, "purpose": "LOAN_APPLICATION"}
    url = f"{parties['gateway']}/v1"
    answer = session.post(f"{url}/queries", json=body, auth=token, headers=QUERY | {"Idempotency-Key": alg})
    assert answer.status_code == 200, answer.text[:400]
    assert len(answer.json()["data"]["legs"]) == 4
    assert verify_receipt(answer.content, parties["log"]["vkey"]).complete
    answer = session.post(f"{url}/assessments", json=body, auth=token, headers=QUERY | {"Idempotency-Key": f"{alg}2"})
    assert answer.status_code == 200 and 300 <= answer.json()["data"]["score"] <= 900, answer.text[:400]
    assert verify_receipt(answer.content, parties["log"]["vkey"]).complete

    told = client.introspect_token(token.access_token)
    assert told["active"] and told["cnf"]["jkt"] == dpop.dpop_jkt and told["client_id"] == client_id
    again = client.refresh_token(token)
    scene.trail.learn(str(again.access_token))
    assert again.refresh_token == token.refresh_token
    assert client.revoke_access_token(again.access_token)
    for ended in (token, again):
        assert client.introspect_token(ended.access_token) == {"active": False}
        headers = QUERY | {"Authorization": f"DPoP {ended.access_token}", "Idempotency-Key": f"{alg}3"}
        headers["DPoP"] = str(dpop.proof("POST", f"{url}/queries", ended.access_token))
        refused = session.post(f"{url}/queries", json=body, headers=headers)
        assert (refused.status_code, refused.json()["code"]) == (401, "token.invalid")
    with pytest.raises(InvalidGrant):
        client.refresh_token(token)


def test_a_no_reaches_the_stranger_as_access_denied(
    scene: Scene, session: requests.Session, others: dict[str, tuple[str, Jwk, str]]
) -> None:
    client_id, key, redirect_uri = others["EdDSA"]
    client = joined(scene.parties, session, client_id, key, redirect_uri)
    request = client.authorization_request(
        scope=None, authorization_details=json.dumps([ask(scene.firm("good"))]), dpop=True, dpop_key=DPoPKey.generate()
    )
    pushed = client.pushed_authorization_request(request)
    where = dict(parse_qsl(urlsplit(str(pushed.uri)).query))
    bank = next(each for each in scene.banks if each.client_id == client_id)
    with pytest.raises(AuthorizationResponseError) as caught:
        request.validate_callback(scene.decide(bank, where["request_uri"], deny=True))
    assert caught.value.error == "access_denied"


def test_details_that_are_no_json_text_are_named_to_the_stranger(
    scene: Scene, session: requests.Session, others: dict[str, tuple[str, Jwk, str]]
) -> None:
    client = joined(scene.parties, session, *others["ES256"])
    request = client.authorization_request(scope=None, authorization_details=["type", "uscc"])
    with pytest.raises(EndpointError) as caught:
        client.pushed_authorization_request(request)
    assert caught.value.error == "invalid_authorization_details"


def test_parties_json_names_everything_a_stranger_needs(scene: Scene, session: requests.Session) -> None:
    told = scene.parties
    assert {
        "issuer",
        "gateway",
        "log",
        "metrics",
        "bank",
        "second_bank",
        "enterprise",
        "signatory",
        "regulator",
    } <= set(told)
    for bank in (told["bank"], told["second_bank"]):
        assert {"client_id", "private_jwk", "kid", "redirect_uri"} <= set(bank)
        assert bank["private_jwk"]["d"] and bank["private_jwk"]["kid"] == bank["kid"]
    assert told["bank"]["client_id"] != told["second_bank"]["client_id"]
    Verifier(told["log"]["vkey"])
    assert session.get(f"{told['log']['prefix']}/checkpoint").text.startswith(told["log"]["origin"] + "\n")
    assert session.get(told["signatory"]["login_url"]).status_code == 200
    assert "xyd_" in session.get(told["metrics"]).text
    assert session.get(told["metrics"].replace("/metrics", "/livez")).json() == {"live": True}
    firms = [CreditCode.parse(each["uscc"]) for each in told["scenarios"]]
    assert len(set(firms)) >= 3 and CreditCode.parse(told["enterprise"]["uscc"]) in firms
    assert set(told["signatory"]) >= {"mobile", "passcode", "may_sign_for"}
    assert session.get(
        f"{told['log']['prefix']}/tile/entries/000", headers={"Authorization": f"Bearer {told['regulator']['token']}"}
    ).status_code in (200, 404)


def test_the_signatory_of_parties_json_can_sign_in(scene: Scene, session: requests.Session) -> None:
    person = scene.parties["signatory"]
    page = session.get(person["login_url"]).text
    csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
    form = {"csrf": csrf, "mobile": person["mobile"], "passcode": person["passcode"], "next": "/phone/"}
    headers = {"Origin": scene.parties["issuer"]}
    answer = session.post(person["login_url"], data=form, headers=headers, allow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/phone/")
    wrong = session.post(
        person["login_url"], data=form | {"passcode": "000000x"}, headers=headers, allow_redirects=False
    )
    assert wrong.status_code in (401, 403)


def test_the_metadata_promises_only_what_answers(scene: Scene, session: requests.Session) -> None:
    issuer = scene.parties["issuer"]
    told = session.get(f"{issuer}/.well-known/oauth-authorization-server").json()
    assert told["issuer"] == issuer and told["require_pushed_authorization_requests"] is True
    addresses = {name: each for name, each in told.items() if name.endswith("_endpoint")}
    assert len(addresses) == 5 and all(each.startswith(issuer + "/") for each in addresses.values())
    for name, address in addresses.items():
        if name == "authorization_endpoint":
            answer = session.get(address, allow_redirects=False)
            assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (400, "text/html")
        else:
            answer = session.post(address, data={"token": "x"})
            assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client"), name
            assert answer.headers["cache-control"] == "no-store"
    assert told["code_challenge_methods_supported"] == ["S256"]
    assert told["token_endpoint_auth_methods_supported"] == ["private_key_jwt"]
    assert {"ES256", "PS256", "EdDSA"} <= set(told["dpop_signing_alg_values_supported"])
    assert set(told["grant_types_supported"]) == {"authorization_code", "refresh_token"}
    card = session.get(f"{issuer}/.well-known/xyd").json()
    log = card["logs"][-1]
    assert (card["issuer"], log["vkey"], log["prefix"]) == (
        issuer,
        *(scene.parties["log"][n] for n in ("vkey", "prefix")),
    )
    assert {"node_id", "catalogue", "witness_policy"} <= set(card)
    assert session.get(f"{issuer}/openapi.json").json()["openapi"].startswith("3.1")
