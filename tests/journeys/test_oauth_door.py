"""The authorization server's doors over a socket: replays, races, bad forms, the ends of tokens."""

from __future__ import annotations

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from joserfc import jwt

from consent.enterprise import issue_fictitious
from deploy.sandbox.bank_client import BankParty
from node.clock import utc_now
from tests.journeys.actors import SENTINEL, Consent, Scene, ask, challenge_of, often, problem

REDEMPTIONS = 50
VERIFIER = "v" * 64
FORM = "application/x-www-form-urlencoded"


def oauth_error(answer: httpx.Response, *expected: str, status: int = 400) -> dict[str, Any]:
    """The error document of an OAuth door (RFC 6749 §5.2): ASCII, JSON, uncached, without the caller's words."""
    assert answer.status_code == status, answer.text[:400]
    assert answer.headers["content-type"] == "application/json" and answer.headers["cache-control"] == "no-store"
    assert answer.content.isascii() and SENTINEL not in answer.text and "location" not in answer.headers
    told: dict[str, Any] = answer.json()
    assert not expected or told["error"] in expected, told
    assert SENTINEL not in json.dumps(told, ensure_ascii=False)
    return told


def pushing(scene: Scene, bank: BankParty | None = None) -> dict[str, str]:
    """The form of an honest pushed request, without the client's assertion."""
    return {
        "response_type": "code",
        "redirect_uri": (bank or scene.banks[0]).redirect_uri,
        "state": "state-of-the-bank",
        "code_challenge": challenge_of(VERIFIER),
        "code_challenge_method": "S256",
        "authorization_details": json.dumps([ask(scene.firm("good"))], ensure_ascii=False),
    }


def push(scene: Scene, form: dict[str, str], *more: tuple[str, str]) -> httpx.Response:
    """Send a pushed request with parameters as given, some of them twice."""
    bank, url = scene.banks[0], f"{scene.stage.issuer}/oauth/par"
    body = urlencode([*(bank.assertion() | form).items(), *more])
    return bank.http.post(url, content=body, headers={"Content-Type": FORM, "DPoP": bank.proof(url)})


def assertion(scene: Scene, **changes: Any) -> str:
    """A client assertion with claims changed; None leaves one out."""
    bank, now = scene.banks[0], int(utc_now().timestamp())
    claims = {
        "iss": bank.client_id, "sub": bank.client_id, "aud": scene.stage.issuer, "jti": secrets.token_urlsafe(9),
        "iat": now, "exp": now + 60,
    } | changes  # fmt: skip
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode({"alg": "ES256", "kid": bank.key.kid}, kept, bank.key)


def held(scene: Scene, body: dict[str, Any]) -> Consent:
    """What the first bank holds by a token answer."""
    tokens = body["access_token"], body["refresh_token"], body["grant_id"]
    return Consent(scene.banks[0], scene.firm("good"), *tokens, {}, "LOAN_APPLICATION")


# ------------------------------------------------------------------------------------------------- codes and tokens


def test_a_code_redeemed_twice_ends_the_tokens_of_the_first(scene: Scene, door: str) -> None:
    bank = scene.banks[0]
    redirect, verifier = scene.signed(bank, ask(scene.firm("good")))
    body = bank.redeem(redirect, verifier).json()
    given = Consent(
        bank, scene.firm("good"), body["access_token"], body["refresh_token"], body["grant_id"], {}, "LOAN_APPLICATION"
    )
    assert scene.call(given, door=door).status_code == 200
    oauth_error(bank.redeem(redirect, verifier), "invalid_grant")
    problem(scene.call(given, door=door), 401, "token.invalid")
    assert scene.introspect(given) == {"active": False}
    form = {"grant_type": "refresh_token", "refresh_token": given.refresh}
    oauth_error(scene.oauth(bank, "token", form), "invalid_grant")
    stops = [each for each in scene.entries() if each["kind"] == "STOP" and each["grant"] == given.grant_id]
    assert [each["why"] for each in stops] == ["code_replayed"]


def test_fifty_redemptions_at_once_give_at_most_one_token_and_that_one_is_ended(scene: Scene) -> None:
    bank = scene.banks[0]
    redirect, verifier = scene.signed(bank, ask(scene.firm("good")))
    with ThreadPoolExecutor(REDEMPTIONS) as pool:
        answers = list(pool.map(lambda _: bank.redeem(redirect, verifier), range(REDEMPTIONS)))
    good = [each for each in answers if each.status_code == 200]
    assert len(good) <= 1
    for each in answers:
        if each.status_code != 200:
            oauth_error(each, "invalid_grant")
    entries = [each for each in scene.entries() if each.get("grant")]
    grant = [each for each in entries if each["kind"] == "GRANT"][-1]["grant"]
    kinds = [each["kind"] for each in entries if each["grant"] == grant]
    assert kinds.count("TOKEN") == 1 and "STOP" in kinds[kinds.index("TOKEN") :]
    for each in good:
        body = each.json()
        given = Consent(
            bank, scene.firm("good"), body["access_token"], body["refresh_token"], grant, {}, "LOAN_APPLICATION"
        )
        problem(scene.call(given), 401, "token.invalid")
        assert scene.introspect(given) == {"active": False}


def test_a_redemption_that_does_not_fit_gives_no_token_and_leaves_the_code_to_its_bank(scene: Scene) -> None:
    bank = scene.banks[0]
    redirect, verifier = scene.signed(bank, ask(scene.firm("good")))
    code = redirect.partition("code=")[2].partition("&")[0]
    honest = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
    honest |= {"redirect_uri": bank.redirect_uri}
    for name, values in {
        "code_verifier": ["w" * 64, "", verifier.upper(), SENTINEL],
        "redirect_uri": ["https://elsewhere.example/callback", bank.redirect_uri + "/", ""],
        "code": ["A" * 43, SENTINEL, "", code + "x", "A" * 5000],
        "grant_type": ["client_credentials", "password", SENTINEL, ""],
    }.items():
        for value in values:
            oauth_error(scene.oauth(bank, "token", honest | {name: value}))
    assert scene.oauth(bank, "token", honest).status_code == 200


def test_a_code_of_another_bank_gives_no_token_and_is_not_used_up(scene: Scene) -> None:
    redirect, verifier = scene.signed(scene.banks[0], ask(scene.firm("good")))
    code = redirect.partition("code=")[2].partition("&")[0]
    form = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
    for bank in (scene.banks[1], scene.banks[0]):
        answer = scene.oauth(bank, "token", form | {"redirect_uri": bank.redirect_uri})
        if bank is scene.banks[1]:
            oauth_error(answer, "invalid_grant")
    assert answer.status_code == 200, answer.text


def test_revoking_any_token_ends_all_of_the_grant_at_every_process(scene: Scene) -> None:
    for which in ("token", "refresh"):
        given = scene.consented(details=often(scene.firm("good"), "tax.vat_invoice_summary"))
        form = {"grant_type": "refresh_token", "refresh_token": given.refresh}
        body = scene.oauth(given.bank, "token", form).json()
        second = Consent(given.bank, given.uscc, body["access_token"], given.refresh, given.grant_id, {}, given.purpose)
        for door in (scene.stage.issuer, scene.framed):
            assert scene.call(second, door=door).status_code == 200
        assert scene.oauth(given.bank, "revoke", {"token": getattr(given, which)}).status_code == 200
        for door in (scene.framed, scene.stage.issuer):
            for each in (given, second):
                problem(scene.call(each, door=door), 401, "token.invalid")
        oauth_error(scene.oauth(given.bank, "token", form), "invalid_grant")


def test_another_banks_revocation_answers_200_and_ends_nothing(scene: Scene) -> None:
    given = scene.consented()
    for token in (given.token, given.refresh, "xat_" + "A" * 43, SENTINEL):
        answer = scene.oauth(scene.banks[1], "revoke", {"token": token})
        assert (answer.status_code, answer.json()) == (200, {})
    assert scene.call(given).status_code == 200 and scene.introspect(given)["active"] is True


def test_introspection_follows_every_state_and_tells_others_nothing(scene: Scene) -> None:
    given = scene.consented()
    told = scene.introspect(given)
    assert told["active"] and told["client_id"] == given.bank.client_id and told["grant_id"] == given.grant_id
    assert told["cnf"]["jkt"] == given.bank.key.thumbprint() and told["aud"] == scene.stage.issuer + "/v1"
    assert told["authorization_details"] == [given.details] and given.uscc not in told["sub"]
    assert scene.introspect(given, token=given.refresh)["active"] is True
    for token in (given.token, given.refresh):
        assert scene.introspect(given, scene.banks[1], token) == {"active": False}
    for token in ("xat_" + "A" * 43, "x", SENTINEL, "A" * 5000):
        assert scene.introspect(given, token=token) == {"active": False}
    assert scene.oauth(given.bank, "revoke", {"token": given.token}).status_code == 200
    assert scene.introspect(given) == scene.introspect(given, token=given.refresh) == {"active": False}


def test_two_banks_know_one_firm_under_two_names(scene: Scene) -> None:
    subjects = [scene.introspect(scene.consented(bank))["sub"] for bank in scene.banks[:2]]
    assert len(set(subjects)) == 2


def test_a_refresh_may_narrow_and_never_widen(scene: Scene) -> None:
    given = scene.consented()
    less = given.details | {"items": given.details["items"][:1]}
    form = {"grant_type": "refresh_token", "refresh_token": given.refresh}
    body = scene.oauth(given.bank, "token", form | {"authorization_details": json.dumps([less])}).json()
    assert len(body["authorization_details"][0]["items"]) == 1
    narrow = Consent(given.bank, given.uscc, body["access_token"], "", given.grant_id, less, given.purpose)
    legs = scene.call(narrow).json()["data"]["legs"]
    assert [leg["dataset"] for leg in legs] == [less["items"][0]["datatype"]]
    item = {"dataset": given.details["items"][1]["datatype"]}
    problem(scene.call(narrow, narrow.body | {"items": [item]}), 403, "consent.scope")
    more = given.details | {"items": [*given.details["items"], {"datatype": "gas.gas_usage"}]}
    oauth_error(scene.oauth(given.bank, "token", form | {"authorization_details": json.dumps([more])}))


# ------------------------------------------------------------------------------------------------- pushed requests


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": ""}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": SENTINEL}, "unsupported_response_type"),
        ({"redirect_uri": ""}, "invalid_request"),
        ({"redirect_uri": "https://bank-jiangzhou.example/callback/"}, "invalid_request"),
        ({"redirect_uri": f"https://bank-jiangzhou.example/callback?{SENTINEL}"}, "invalid_request"),
        ({"redirect_uri": "javascript:alert(1)"}, "invalid_request"),
        ({"code_challenge": ""}, "invalid_request"),
        ({"code_challenge": SENTINEL}, "invalid_request"),
        ({"code_challenge": "A" * 42}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": ""}, "invalid_request"),
        ({"state": SENTINEL}, "invalid_request"),
        ({"state": "x" * 513}, "invalid_request"),
        ({"state": "a\x00b"}, "invalid_request"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"dpop_jkt": "A" * 43}, "invalid_dpop_proof"),
        ({"dpop_jkt": SENTINEL}, "invalid_request"),
        ({"request": "e30.e30."}, "request_not_supported"),
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"client_secret": "s"}, "invalid_client"),
        ({"authorization_details": ""}, "invalid_authorization_details"),
        ({f"{SENTINEL}\x07": "1"}, "invalid_request"),
    ],
    ids=str,
)
def test_a_parameter_that_does_not_fit_is_refused_by_its_error(
    scene: Scene, changes: dict[str, str], error: str
) -> None:
    status = 401 if error == "invalid_client" else 400
    oauth_error(push(scene, pushing(scene) | changes), error, status=status)


def test_every_parameter_sent_twice_is_refused(scene: Scene) -> None:
    honest = pushing(scene)
    names = [*honest, "client_id", "client_assertion", "client_assertion_type", "unknown"]
    for name in names:
        form = honest | ({"unknown": "1"} if name == "unknown" else {})
        told = oauth_error(push(scene, form, (name, honest.get(name, "2"))))
        wanted = "invalid_authorization_details" if name == "authorization_details" else "invalid_request"
        assert told["error"] == wanted, name


def test_an_unknown_parameter_and_a_scope_are_ignored(scene: Scene) -> None:
    for more in ({"colour": "red"}, {"scope": "openid everything"}, {"nonce": "n", "prompt": "login"}):
        assert push(scene, pushing(scene) | more).status_code == 201


@pytest.mark.parametrize("place", ["subject", "purpose", "items", "validity", "use", "type", "extra"])
def test_hostile_details_are_refused_by_their_own_error(scene: Scene, place: str) -> None:
    for value in (
        SENTINEL,
        {SENTINEL: SENTINEL},
        [SENTINEL],
        None,
        7,
        True,
        {"": 1},
        [],
        [[[]]],
        "\u0000",
        "\u202e",
        10**300,
    ):
        details = ask(scene.firm("good")) | {place: value}
        told = push(scene, pushing(scene) | {"authorization_details": json.dumps([details])})
        oauth_error(told, "invalid_authorization_details")


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "[]",
        "null",
        "[null]",
        "7",
        "[",
        SENTINEL,
        "[" * 20000,
        "NaN",
        "[{}, {}]",
        "[[]]",
        '["type"]',
        "[{}]",
        '[{"type":"urn:xyd:enterprise-data:2"}]',
        '[{"type":"account_information"}]',
        "\ufeff[]",
    ],
    ids=lambda text: text[:12],
)
def test_details_that_are_not_one_object_of_the_type_are_refused(scene: Scene, text: str) -> None:
    oauth_error(push(scene, pushing(scene) | {"authorization_details": text}), "invalid_authorization_details")


def test_details_that_name_a_member_twice_are_refused(scene: Scene) -> None:
    honest = json.dumps([ask(scene.firm("good"))])
    for member in ("type", "subject", "items"):
        doubled = honest.replace(f'"{member}"', f'"{member}": null, "{member}"', 1)
        oauth_error(push(scene, pushing(scene) | {"authorization_details": doubled}), "invalid_authorization_details")


@pytest.mark.parametrize(
    ("changes", "limit", "most"),
    [
        ({"use": {"max_queries": 4}}, "max_queries", 3),
        ({"validity": {"days": 91}}, "validity_days", 90),
        ({"items": [{"datatype": "judicial.enforcement"}]}, None, None),
        (
            {"items": [{"datatype": "tax.vat_invoice_summary", "period": {"from": "2001-01", "to": "2001-02"}}]},
            "tax.vat_invoice_summary.lookback_months",
            24,
        ),
        ({"purpose": {"code": "ANYTHING"}}, None, None),
        ({"items": [{"datatype": "tax.vat_invoice_summary", "fields": ["nothing"]}]}, None, None),
        ({"subject": {"uscc": "91000000000000318X"}}, None, None),
        ({"locations": ["https://elsewhere.example"]}, None, None),
        ({"onward": {"transfer": True}}, "onward", None),
    ],
    ids=str,
)
def test_more_than_the_purpose_allows_is_refused_naming_the_bound(
    scene: Scene, changes: dict[str, Any], limit: str | None, most: int | None
) -> None:
    details = ask(scene.firm("good")) | changes
    answer = push(scene, pushing(scene) | {"authorization_details": json.dumps([details])})
    told = oauth_error(answer, "invalid_authorization_details")
    assert limit is None or told["limit"] == limit
    assert most is None or told["max"] == most


def test_a_firm_nobody_knows_cannot_be_told_from_one_without_a_signatory(scene: Scene) -> None:
    for firm in (str(issue_fictitious(66_666_666)), scene.firm("good")):
        scene.trail.learn(firm)
        answer = push(scene, pushing(scene) | {"authorization_details": json.dumps([ask(firm)])})
        assert answer.status_code == 201 and set(answer.json()) == {"request_uri", "expires_in"}


# ------------------------------------------------------------------------------------------------- who asks


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "https://elsewhere.example"},
        {"aud": None},
        {"exp": 1},
        {"exp": None},
        {"jti": None},
        {"sub": None},
        {"iss": "bank-linhai"},
        {"sub": "bank-linhai"},
        {"sub": "nobody", "iss": "nobody"},
        {"sub": SENTINEL},
        {"exp": 10**18},
        {"exp": "soon"},
        {"jti": 7},
        {"nbf": 10**11},
        {"aud": []},
        {"exp": True},
    ],
    ids=str,
)
def test_an_assertion_that_does_not_hold_is_refused_in_one_way(scene: Scene, changes: dict[str, Any]) -> None:
    answer = push(scene, pushing(scene) | {"client_assertion": assertion(scene, **changes)})
    oauth_error(answer, "invalid_client", status=401)


def test_audience_of_an_endpoint_or_a_list_is_refused(scene: Scene) -> None:
    for audience in (scene.stage.issuer + "/oauth/par", [scene.stage.issuer], scene.stage.issuer + "/"):
        answer = push(scene, pushing(scene) | {"client_assertion": assertion(scene, aud=audience)})
        oauth_error(answer, "invalid_client", status=401)


def test_an_assertion_and_a_proof_are_accepted_once(scene: Scene) -> None:
    bank, url = scene.banks[0], f"{scene.stage.issuer}/oauth/par"
    form, dpop = pushing(scene) | bank.assertion(), bank.proof(url)
    assert bank.http.post(url, data=form, headers={"DPoP": dpop}).status_code == 201
    oauth_error(bank.http.post(url, data=form, headers={"DPoP": bank.proof(url)}), "invalid_client", status=401)
    again = bank.http.post(url, data=pushing(scene) | bank.assertion(), headers={"DPoP": dpop})
    oauth_error(again, "invalid_dpop_proof")


@pytest.mark.parametrize(
    "dpop",
    [["", ""], "x", "a.b.c", "A" * 30_000, b"\xe8\xaf\x81", "elsewhere", "twice"],
    ids=lambda each: str(each)[:12],
)
def test_a_wrong_proof_at_an_oauth_door_is_refused(scene: Scene, dpop: Any) -> None:
    bank, url = scene.banks[0], f"{scene.stage.issuer}/oauth/par"
    if dpop == "elsewhere":
        dpop = bank.proof(f"{scene.stage.issuer}/oauth/token")
    sent = [bank.proof(url)] * 2 if dpop == "twice" else dpop if isinstance(dpop, list) else [dpop]
    headers = [(b"DPoP", each if isinstance(each, bytes) else each.encode()) for each in sent]
    answer = bank.http.post(url, data=pushing(scene) | bank.assertion(), headers=headers)
    oauth_error(answer, "invalid_dpop_proof")


# ------------------------------------------------------------------------------------------------- the doors themselves

DOORS = pytest.mark.parametrize("path", ["par", "token", "introspect", "revoke"])


@DOORS
@pytest.mark.parametrize("verb", ["GET", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_an_oauth_door_takes_post_only(scene: Scene, path: str, verb: str) -> None:
    answer = scene.http.request(verb, f"{scene.stage.issuer}/oauth/{path}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    assert answer.headers["content-type"] in ("application/json", "application/problem+json")


@DOORS
def test_a_form_that_is_none_is_refused(scene: Scene, path: str) -> None:
    bank, url = scene.banks[0], f"{scene.stage.issuer}/oauth/{path}"
    honest = urlencode(bank.assertion() | {"token": "x", "grant_type": "refresh_token"})
    for media, body in (
        ("application/json", json.dumps(bank.assertion())),
        ("text/plain", honest),
        ("", honest),
        ("multipart/form-data; boundary=x", honest),
        (FORM + "; charset=gb18030", honest),
        (FORM, "&&&="),
        (FORM, "%zz=%"),
        (FORM, "a"),
        (FORM, "a=%FF%FE"),
        (FORM, honest + "&x=%00"),
        (FORM, honest + f"&x={'%E4%B8%AD' * 3}%0D%0A"),
        (FORM, honest + "&a=" + "x" * 1_000_000),
        (FORM, "&".join(f"p{n}={n}" for n in range(200))),
        (FORM, SENTINEL + "=" + SENTINEL),
    ):
        headers = {"Content-Type": media} if media else {}
        told = bank.http.post(url, content=body.encode(), headers=headers)
        assert told.status_code in (400, 401), (media, body[:40], told.status_code)
        oauth_error(told, "invalid_request", "invalid_client", status=told.status_code)


@DOORS
def test_parameters_in_the_address_or_a_second_way_to_authenticate_are_refused(scene: Scene, path: str) -> None:
    bank, url = scene.banks[0], f"{scene.stage.issuer}/oauth/{path}"
    form = bank.assertion() | {"token": "x", "grant_type": "refresh_token"}
    oauth_error(bank.http.post(f"{url}?token=x", data=form), "invalid_request")
    answer = bank.http.post(url, data=bank.assertion() | form, headers={"Authorization": "Basic eDp5"})
    oauth_error(answer, "invalid_client", status=401)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "client_id=bank-jiangzhou",
        "request_uri=x",
        f"client_id={SENTINEL}&request_uri={SENTINEL}",
        "%ff=%ff",
        "a=1&a=2",
        "client_id=bank-jiangzhou&redirect_uri=https%3A%2F%2Fevil.example&response_type=code",
        "x=" + "y" * 60000,
    ],
    ids=lambda query: query[:30],
)
def test_the_authorization_endpoint_answers_a_bad_request_with_a_page_and_never_a_redirect(
    scene: Scene, query: str
) -> None:
    answer = scene.http.get(f"{scene.stage.issuer}/oauth/authorize?{query}")
    assert answer.status_code == 400 and answer.headers["content-type"].startswith("text/html")
    assert "location" not in answer.headers and SENTINEL not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
