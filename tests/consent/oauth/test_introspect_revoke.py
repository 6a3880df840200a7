"""Introspection (RFC 7662) and revocation (RFC 7009): checklist item 36."""

from __future__ import annotations

from dataclasses import replace

import pytest

from consent.evidence import Kind
from consent.oauth.errors import OAuth2Error
from consent.oauth.introspect import pairwise_subject
from consent.oauth.issuer import Issuer
from tests.consent.oauth.people import ENTERPRISE, RULES, Desk, Person, raw, refusal

INACTIVE = {"active": False}


def test_rfc7662_2_2_an_active_token_is_described(desk: Desk, alpha: Person) -> None:
    body = desk.tokens_of(alpha)
    described = desk.introspect(raw(alpha.authenticated(token=body["access_token"]))).body
    assert described is not None
    assert set(described) == {
        "active", "iss", "aud", "sub", "client_id", "iat", "exp", "grant_id", "authorization_details", "token_type",
        "cnf",
    }  # fmt: skip
    row = next(row for row in desk.tokens.values() if row.kind == "access")
    assert described["cnf"] == {"jkt": row.jkt} and described["authorization_details"] == body["authorization_details"]
    assert (described["iss"], described["client_id"]) == (RULES.issuer.url, "bank-alpha")
    refresh = desk.introspect(raw(alpha.authenticated(token=body["refresh_token"]))).body
    assert refresh is not None and refresh["active"] and "cnf" not in refresh


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "口令", "saml"])
def test_rfc7662_2_1_a_hint_is_only_a_hint(desk: Desk, alpha: Person, hint: str) -> None:
    token = desk.tokens_of(alpha)["access_token"]
    body = desk.introspect(raw(alpha.authenticated(token=token, token_type_hint=hint))).body
    assert body is not None and body["active"]
    assert desk.revoke(raw(alpha.authenticated(token=token, token_type_hint=hint))).status == 200
    assert not desk.active(alpha, token)


def test_rfc7662_2_2_everything_else_is_inactive_and_nothing_more(desk: Desk, alpha: Person, beta: Person) -> None:
    token = desk.tokens_of(alpha)["access_token"]
    for asker, asked in ((beta, token), (alpha, "xat_unknown"), (alpha, "x" * 5000), (alpha, "令牌")):
        assert desk.introspect(raw(asker.authenticated(token=asked))).body == INACTIVE
    desk.later(300)
    assert desk.introspect(raw(alpha.authenticated(token=token))).body == INACTIVE


def test_a_bank_that_may_not_introspect_learns_nothing(desk: Desk, alpha: Person) -> None:
    token = desk.tokens_of(alpha)["access_token"]
    alpha.row.introspects = False
    assert desk.introspect(raw(alpha.authenticated(token=token))).body == INACTIVE


def test_a_withdrawn_or_used_up_grant_makes_its_tokens_inactive(desk: Desk, alpha: Person) -> None:
    token = desk.tokens_of(alpha)["access_token"]
    grant = desk.grants["grt_0"]
    desk.grants["grt_0"] = replace(grant, used=grant.max_queries)
    assert desk.introspect(raw(alpha.authenticated(token=token))).body == INACTIVE
    desk.grants["grt_0"] = grant
    assert desk.active(alpha, token)
    desk.withdraw("grt_0")
    assert desk.introspect(raw(alpha.authenticated(token=token))).body == INACTIVE


def test_rfc7662_2_1_the_asker_is_authenticated_and_names_a_token(desk: Desk, alpha: Person) -> None:
    for call, form, status, code in (
        (desk.introspect, {"token": "t"}, 401, "invalid_client"),
        (desk.introspect, alpha.authenticated(), 400, "invalid_request"),
        (desk.revoke, {"token": "t"}, 401, "invalid_client"),
        (desk.revoke, alpha.authenticated(), 400, "invalid_request"),
    ):
        with pytest.raises(OAuth2Error) as caught:
            call(raw(form))
        assert refusal(caught.value) == (status, code)


def test_subjects_are_pairwise() -> None:
    mine = pairwise_subject(RULES.issuer, "bank-alpha", ENTERPRISE)
    assert mine == pairwise_subject(RULES.issuer, "bank-alpha", ENTERPRISE) and len(mine) == 43
    assert mine != pairwise_subject(RULES.issuer, "bank-beta", ENTERPRISE)
    assert mine != pairwise_subject(Issuer(RULES.issuer.url, b"another-key-here"), "bank-alpha", ENTERPRISE)


@pytest.mark.parametrize("which", ["access_token", "refresh_token"])
def test_rfc7009_2_1_revoking_any_token_ends_all_of_its_grant(desk: Desk, alpha: Person, which: str) -> None:
    body = desk.tokens_of(alpha)
    again = desk.refresh(alpha, body["refresh_token"]).body
    other = desk.tokens_of(alpha)
    assert again is not None
    reply = desk.revoke(raw(alpha.authenticated(token=body[which])))
    assert (reply.status, dict(reply.headers)["Cache-Control"]) == (200, "no-store")
    for token in (body["access_token"], body["refresh_token"], again["access_token"]):
        assert not desk.active(alpha, str(token))
    assert desk.active(alpha, other["access_token"]), "another grant is another matter"
    assert desk.ended[0].evidence.kind is Kind.STOP
    with pytest.raises(OAuth2Error) as caught:
        desk.refresh(alpha, body["refresh_token"])
    assert refusal(caught.value) == (400, "invalid_grant")


def test_rfc7009_2_2_unknown_foreign_and_ended_tokens_answer_200_and_change_nothing(
    desk: Desk, alpha: Person, beta: Person
) -> None:
    token = desk.tokens_of(alpha)["access_token"]
    answers = [
        desk.revoke(raw(beta.authenticated(token=token))),
        desk.revoke(raw(alpha.authenticated(token="xat_unknown"))),
        desk.revoke(raw(alpha.authenticated(token="令" * 400))),
    ]
    assert desk.active(alpha, token) and not desk.ended
    answers += [desk.revoke(raw(alpha.authenticated(token=token))) for _ in range(2)]
    assert {(answer.status, answer.content) for answer in answers} == {(200, b"{}")} and len(desk.ended) == 1
