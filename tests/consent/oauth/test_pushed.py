"""Pushed authorization requests: RFC 9126, 7636, 9207, FAPI 2.0 §5.3.2.2 (checklist items 8, 12, 15-22, 25-28)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from consent.oauth import bank, decide
from consent.oauth.errors import InvalidRequestError, OAuth2Error
from consent.oauth.jose import import_public
from consent.oauth.pushed import LIFETIME_S, Pushed
from tests.consent.oauth.people import CALLBACK, RULES, Desk, Person, key, public, raw, refusal

PAR = RULES.issuer.pushed_url


def push(desk: Desk, person: Person, **form: str | None) -> str:
    body = desk.push(raw(person.push_form(**form))).body
    assert body is not None
    return str(body["request_uri"])


def code_of(call: Any) -> str:
    with pytest.raises(OAuth2Error) as caught:
        call()
    status, code = refusal(caught.value)
    assert status in (400, 401)
    return code


def test_rfc9126_2_2_a_push_answers_201_with_request_uri_and_expires_in(desk: Desk, alpha: Person) -> None:
    reply = desk.push(raw(alpha.push_form()))
    assert reply.status == 201 and dict(reply.headers)["Cache-Control"] == "no-store"
    assert reply.body is not None and set(reply.body) == {"request_uri", "expires_in"}
    assert re.fullmatch(r"urn:ietf:params:oauth:request_uri:[A-Za-z0-9_-]{43}", str(reply.body["request_uri"]))


def test_fapi2_5_3_2_2_request_uri_lives_less_than_600_seconds(desk: Desk, alpha: Person) -> None:
    assert LIFETIME_S < 600
    request_uri = push(desk, alpha)
    desk.later(LIFETIME_S - 0.001)
    desk.visit(request_uri, alpha.client_id)
    desk.later(0.001)
    with pytest.raises(InvalidRequestError):
        desk.visit(request_uri, alpha.client_id)


def test_rfc9126_2_1_request_uri_is_consumed_by_the_decision_not_by_a_visit(desk: Desk, alpha: Person) -> None:
    request_uri = push(desk, alpha)
    for _ in range(3):
        desk.visit(request_uri, alpha.client_id)
    desk.approve(request_uri, alpha.client_id)
    with pytest.raises(InvalidRequestError):
        desk.visit(request_uri, alpha.client_id)


def test_rfc9126_4_request_uri_is_bound_to_its_client(desk: Desk, alpha: Person, beta: Person) -> None:
    request_uri = push(desk, alpha)
    with pytest.raises(InvalidRequestError):
        desk.visit(request_uri, beta.client_id)


def test_a_bank_suspended_meanwhile_is_not_shown(desk: Desk, alpha: Person) -> None:
    request_uri = push(desk, alpha)
    bank.suspend(alpha.row)
    with pytest.raises(InvalidRequestError):
        desk.visit(request_uri, alpha.client_id)


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"client_id=bank-alpha",
        b"client_id=bank-alpha&response_type=code&redirect_uri=https://bank.example/callback",
    ],
)
def test_fapi2_5_3_2_2_requests_that_were_not_pushed_are_refused(query: bytes) -> None:
    from consent.oauth.pushed import Visit

    with pytest.raises(InvalidRequestError):
        Visit.parse(query)


def test_rfc9126_4_parameters_beside_client_id_and_request_uri_count_for_nothing(desk: Desk, alpha: Person) -> None:
    request_uri = push(desk, alpha, state="inside")
    visited = desk.visit(request_uri, alpha.client_id, extra="&state=outside&nonce=n&redirect_uri=https://evil.example")
    assert visited.pushed.state == "inside" and visited.pushed.redirect_uri == CALLBACK


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"request_uri": "urn:ietf:params:oauth:request_uri:x"}, "invalid_request"),
        ({"request": "a.b.c"}, "request_not_supported"),
        ({"response_type": None}, "invalid_request"),
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"response_type": "code id_token"}, "unsupported_response_type"),
        ({"response_type": "口令"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"redirect_uri": None}, "invalid_request"),
        ({"redirect_uri": CALLBACK + "/"}, "invalid_request"),
        ({"redirect_uri": "https://evil.example/callback"}, "invalid_request"),
        ({"redirect_uri": "https://BANK.example/callback"}, "invalid_request"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge": "short"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"state": "s" * 513}, "invalid_request"),
        ({"state": "状态"}, "invalid_request"),
        ({"authorization_details": None}, "invalid_authorization_details"),
        ({"dpop_jkt": "short"}, "invalid_request"),
        ({"client_id": "bank-beta"}, "invalid_client"),
    ],
)
def test_rfc9126_2_3_what_is_wrong_is_answered_as_json(
    desk: Desk, alpha: Person, form: dict[str, str | None], code: str
) -> None:
    assert code_of(lambda: push(desk, alpha, **form)) == code
    assert desk.pushed == {}


def test_rfc9126_2_3_an_error_at_the_push_is_never_a_redirect(desk: Desk, alpha: Person) -> None:
    from consent.oauth.errors import reply_of_error

    for form in ({"code_challenge_method": "plain"}, {"authorization_details": "[]"}):
        with pytest.raises(OAuth2Error) as caught:
            push(desk, alpha, **form)
        reply = reply_of_error(caught.value)
        assert reply.status == 400 and "Location" not in dict(reply.headers)
        assert dict(reply.headers)["Cache-Control"] == "no-store"


def test_rfc9126_2_1_the_push_needs_an_authenticated_client(desk: Desk, alpha: Person) -> None:
    assert code_of(lambda: push(desk, alpha, client_assertion=None)) == "invalid_client"
    assert push(desk, alpha, client_id=None)


def test_rfc9449_10_1_dpop_jkt_and_proof_must_name_one_key(desk: Desk, alpha: Person, beta: Person) -> None:
    own = import_public(public(alpha.key)).key.thumbprint()
    other = import_public(public(beta.key)).key.thumbprint()
    with_proof = raw(alpha.push_form(dpop_jkt=other), dpop=alpha.proof(PAR))
    assert code_of(lambda: desk.push(with_proof)) == "invalid_dpop_proof"
    for request in (
        raw(alpha.push_form(dpop_jkt=own)),
        raw(alpha.push_form(), dpop=alpha.proof(PAR)),
        raw(alpha.push_form(dpop_jkt=own), dpop=alpha.proof(PAR)),
    ):
        body = desk.push(request).body
        assert body is not None
        assert desk.visit(str(body["request_uri"]), alpha.client_id).pushed.dpop_jkt == own


def test_rfc9449_10_1_a_bad_proof_at_the_push_is_refused(desk: Desk, alpha: Person) -> None:
    wrong = raw(alpha.push_form(), dpop=alpha.proof(RULES.issuer.token_url))
    assert code_of(lambda: desk.push(wrong)) == "invalid_dpop_proof"


def test_rfc9207_2_iss_state_and_code_come_back_with_the_yes(desk: Desk, alpha: Person) -> None:
    state = "x" * 500 + " &=?#%+/~ok"
    answer = desk.approve(push(desk, alpha, state=state), alpha.client_id)
    assert set(answer) == {"code", "state", "iss"}
    assert (answer["state"], answer["iss"]) == (state, RULES.issuer.url)
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", answer["code"])


def test_rfc9207_2_iss_and_state_come_back_with_the_no(desk: Desk, alpha: Person) -> None:
    visited = desk.visit(push(desk, alpha), alpha.client_id)
    refused = decide.decide_no(RULES, visited, now=desk.now)
    target, answer = urlsplit(refused.location), dict(parse_qsl(urlsplit(refused.location).query))
    assert f"{target.scheme}://{target.netloc}{target.path}" == CALLBACK and not target.fragment
    assert (answer["error"], answer["state"], answer["iss"]) == ("access_denied", "s-1", RULES.issuer.url)
    assert "code" not in answer and refused.pushed_key in desk.pushed


def test_rfc6749_4_1_2_no_state_was_sent_so_none_is_returned(desk: Desk, alpha: Person) -> None:
    assert set(desk.approve(push(desk, alpha, state=None), alpha.client_id)) == {"code", "iss"}
    assert set(desk.approve(push(desk, alpha, state=""), alpha.client_id)) == {"code", "iss"}


def test_rfc6749_3_1_2_the_query_of_a_redirect_uri_is_kept(desk: Desk, alpha: Person) -> None:
    answer = desk.approve(push(desk, alpha, redirect_uri=CALLBACK + "?branch=1"), alpha.client_id)
    assert answer["branch"] == "1" and {"code", "iss"} <= set(answer)


def test_what_was_pushed_survives_its_store(desk: Desk, alpha: Person) -> None:
    visited = desk.visit(push(desk, alpha), alpha.client_id)
    again = Pushed.load(visited.pushed.dump(RULES.catalogue), RULES.catalogue)
    assert again == visited.pushed


def test_another_key_of_the_bank_may_be_named_for_the_code(desk: Desk, alpha: Person) -> None:
    proof_key = key("PS256", "bank-alpha")
    proof = alpha.proof(PAR, signer=proof_key, header={"alg": "PS256"})
    assert desk.push(raw(alpha.push_form(), dpop=proof)).status == 201


def test_rfc6749_3_3_a_scope_is_ignored_because_none_exists(desk: Desk, alpha: Person) -> None:
    assert push(desk, alpha, scope="openid").startswith("urn:ietf:params:oauth:request_uri:")
