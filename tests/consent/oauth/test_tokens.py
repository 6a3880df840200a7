"""Code exchange and refresh: RFC 6749 §4.1.3, §5, §6; RFC 7636 §4.6; FAPI 2.0 (items 3, 5, 10-12, 19-24, 35)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from consent.enterprise import issue_fictitious
from consent.evidence import Kind
from consent.oauth import decide
from consent.oauth.code import LIFETIME_S
from consent.oauth.effects import CodeReplayed, Loaded
from consent.oauth.errors import OAuth2Error
from consent.oauth.request import Endpoint
from consent.oauth.token import ACCESS_LIFETIME_S, digest, token_view
from tests.consent.oauth.people import CALLBACK, DETAILS, RULES, VERIFIER, Desk, Person, key, ms, raw, refusal

TOKEN = RULES.issuer.token_url


def code_of(call: Any) -> str:
    with pytest.raises(OAuth2Error) as caught:
        call()
    status, code = refusal(caught.value)
    assert status in (400, 401)
    return code


def test_rfc6749_5_1_a_token_response_has_what_it_must(desk: Desk, alpha: Person) -> None:
    reply = desk.redeem(alpha, desk.code(alpha))
    body = reply.body
    assert body is not None and reply.status == 200 and dict(reply.headers)["Cache-Control"] == "no-store"
    assert set(body) == {
        "access_token", "token_type", "expires_in", "refresh_token", "grant_id", "authorization_details",
    }  # fmt: skip
    assert (body["token_type"], body["expires_in"]) == ("DPoP", ACCESS_LIFETIME_S)
    assert str(body["access_token"]).startswith("xat_") and str(body["refresh_token"]).startswith("xrt_")


def test_only_hashes_of_tokens_are_kept(desk: Desk, alpha: Person) -> None:
    body = desk.tokens_of(alpha)
    kept = {row.kind: row for row in desk.tokens.values()}
    assert kept["access"].hash == digest(body["access_token"]) and kept["refresh"].hash == digest(body["refresh_token"])
    stored = repr(desk.tokens) + repr(desk.codes) + repr(desk.pushed)
    assert body["access_token"] not in stored and body["refresh_token"] not in stored


def test_an_access_token_never_outlives_its_grant_and_a_refresh_token_ends_with_it(desk: Desk, alpha: Person) -> None:
    details = DETAILS | {"validity": {"not_after": "2026-11-23T08:02:00Z"}}
    code = desk.code(alpha, authorization_details=json.dumps([details]))
    body = desk.redeem(alpha, code).body
    assert body is not None and body["expires_in"] == 120
    assert {row.expires_ms for row in desk.tokens.values()} == {desk.grants["grt_0"].not_after_ms}


def test_issuing_is_evidence_of_kind_token(desk: Desk, alpha: Person) -> None:
    code = desk.code(alpha)
    form = alpha.authenticated(
        grant_type="authorization_code", code=code, redirect_uri=CALLBACK, code_verifier=VERIFIER
    )
    parsed, who = desk.admit(Endpoint.TOKEN, raw(form, dpop=alpha.proof(TOKEN)))
    wanted = decide.what_to_load(parsed)
    assert wanted.code_key is not None
    loaded = Loaded(code=desk.codes[wanted.code_key], grant=desk.grants["grt_0"])
    issue = decide.decide_token(RULES, parsed, who, loaded, now=desk.now)
    assert (issue.code_key, issue.evidence.kind) == (wanted.code_key, Kind.TOKEN)
    assert issue.evidence.public == {"grant": "grt_0", "ver": 1, "exp": ms(desk.now) + 300_000}


@pytest.mark.parametrize(
    "form",
    [
        {"code_verifier": None},
        {"code_verifier": "w" * 43},
        {"code_verifier": "short"},
        {"code_verifier": "口" * 43},
        {"redirect_uri": "https://evil.example/callback"},
        {"redirect_uri": CALLBACK + "?branch=1"},
        {"code": "unknown"},
        {"code": "c" * 4000},
        {"code": "编码"},
    ],
)
def test_rfc7636_4_6_what_does_not_fit_the_code_is_invalid_grant(
    desk: Desk, alpha: Person, form: dict[str, str | None]
) -> None:
    code = desk.code(alpha)
    given = {"code": code} | form
    assert code_of(lambda: desk.redeem(alpha, **given)) == "invalid_grant"
    assert desk.redeem(alpha, code).status == 200


def test_fapi2_5_3_2_2_a_code_lives_sixty_seconds(desk: Desk, alpha: Person) -> None:
    assert LIFETIME_S == 60
    in_time, late = desk.code(alpha), desk.code(alpha)
    desk.later(59.999)
    assert desk.redeem(alpha, in_time).status == 200
    desk.later(0.001)
    assert code_of(lambda: desk.redeem(alpha, late)) == "invalid_grant"


def test_rfc6749_4_1_2_a_second_use_ends_the_tokens_of_the_grant(desk: Desk, alpha: Person) -> None:
    code = desk.code(alpha)
    body = desk.redeem(alpha, code).body
    assert body is not None and desk.active(alpha, str(body["access_token"]))
    desk.later(61)
    assert code_of(lambda: desk.redeem(alpha, code)) == "invalid_grant"
    assert not desk.active(alpha, str(body["access_token"])) and not desk.active(alpha, str(body["refresh_token"]))
    assert [ends.evidence.kind for ends in desk.ended] == [Kind.STOP]


def test_rfc6749_4_1_2_losing_the_atomic_claim_is_a_replay(desk: Desk, alpha: Person) -> None:
    desk.code(alpha)
    lost = decide.lost_code(desk.grants["grt_0"])
    assert isinstance(lost, CodeReplayed) and refusal(lost) == (400, "invalid_grant")
    assert lost.ends.evidence.public == {"grant": "grt_0", "why": "code_replayed"}


def test_fapi2_5_3_2_2_a_code_is_bound_to_its_client(desk: Desk, alpha: Person, beta: Person) -> None:
    code = desk.code(alpha)
    assert code_of(lambda: desk.redeem(beta, code)) == "invalid_grant"
    body = desk.redeem(alpha, code).body
    assert code_of(lambda: desk.redeem(beta, code)) == "invalid_grant"
    assert body is not None and desk.active(alpha, str(body["access_token"]))


def test_rfc9449_10_a_code_is_bound_to_the_key_of_the_push(desk: Desk, alpha: Person) -> None:
    code = desk.code(alpha)
    other = key("ES256", "stranger")
    form = alpha.authenticated(
        grant_type="authorization_code", code=code, redirect_uri=CALLBACK, code_verifier=VERIFIER
    )
    assert code_of(lambda: desk.token(raw(form, dpop=alpha.proof(TOKEN, signer=other)))) == "invalid_grant"


def test_fapi2_5_3_2_1_no_token_without_a_proof(desk: Desk, alpha: Person) -> None:
    form = alpha.authenticated(grant_type="authorization_code", code=desk.code(alpha), redirect_uri=CALLBACK)
    assert code_of(lambda: desk.token(raw(form))) == "invalid_dpop_proof"
    refresh = desk.tokens_of(alpha)["refresh_token"]
    form = alpha.authenticated(grant_type="refresh_token", refresh_token=refresh)
    assert code_of(lambda: desk.token(raw(form))) == "invalid_dpop_proof"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "client_credentials"}, "unsupported_grant_type"),
        ({"grant_type": "implicit"}, "unsupported_grant_type"),
        ({"grant_type": '口令"\\'}, "unsupported_grant_type"),
        ({"code": None}, "invalid_request"),
    ],
)
def test_rfc6749_5_2_each_error_has_its_name(desk: Desk, alpha: Person, form: dict[str, str | None], code: str) -> None:
    given: dict[str, str | None] = {"code": desk.code(alpha)} | form
    assert code_of(lambda: desk.redeem(alpha, **given)) == code  # type: ignore[arg-type]


def test_a_grant_that_was_withdrawn_before_the_exchange_gives_no_token(desk: Desk, alpha: Person) -> None:
    code = desk.code(alpha)
    desk.withdraw("grt_0")
    assert code_of(lambda: desk.redeem(alpha, code)) == "invalid_grant"


def test_fapi2_5_3_2_1_refresh_tokens_are_not_rotated(desk: Desk, alpha: Person) -> None:
    first = desk.tokens_of(alpha)
    for _ in range(3):
        desk.later(30)
        again = desk.refresh(alpha, first["refresh_token"]).body
        assert again is not None and again["refresh_token"] == first["refresh_token"]
        assert again["access_token"] != first["access_token"] and again["grant_id"] == first["grant_id"]
    assert sum(row.kind == "refresh" for row in desk.tokens.values()) == 1


def test_rfc6749_6_a_refresh_token_is_bound_to_its_client(desk: Desk, alpha: Person, beta: Person) -> None:
    refresh = desk.tokens_of(alpha)["refresh_token"]
    assert code_of(lambda: desk.refresh(beta, refresh)) == "invalid_grant"
    assert desk.refresh(alpha, refresh).status == 200


def test_an_access_token_cannot_refresh(desk: Desk, alpha: Person) -> None:
    assert code_of(lambda: desk.refresh(alpha, desk.tokens_of(alpha)["access_token"])) == "invalid_grant"


def test_a_refresh_ends_with_the_grant(desk: Desk, alpha: Person) -> None:
    refresh = desk.tokens_of(alpha)["refresh_token"]
    desk.withdraw("grt_0")
    assert code_of(lambda: desk.refresh(alpha, refresh)) == "invalid_grant"


def test_a_refresh_ends_when_the_consent_is_over(desk: Desk, alpha: Person) -> None:
    refresh = desk.tokens_of(alpha)["refresh_token"]
    desk.later(30 * 86_400 - 0.001)
    assert desk.refresh(alpha, refresh).status == 200
    desk.later(0.001)
    assert code_of(lambda: desk.refresh(alpha, refresh)) == "invalid_grant"


def test_rfc9449_5_a_confidential_client_may_change_its_key_at_a_refresh(desk: Desk, alpha: Person) -> None:
    refresh = desk.tokens_of(alpha)["refresh_token"]
    proof = alpha.proof(TOKEN, signer=key("ES256", "alpha-next"))
    form = alpha.authenticated(grant_type="refresh_token", refresh_token=refresh)
    body = desk.token(raw(form, dpop=proof)).body
    assert body is not None
    assert desk.tokens[digest(str(body["access_token"]))].jkt != desk.tokens[digest(refresh)].jkt


def test_rfc9396_6_a_refresh_may_narrow(desk: Desk, alpha: Person) -> None:
    first = desk.tokens_of(alpha)
    narrower = {
        **DETAILS,
        "items": [{"datatype": "tax.vat_invoice_summary", "fields": ["tax_amount"], "period": {"from": "2026-01"}}],
    }
    body = desk.refresh(alpha, first["refresh_token"], authorization_details=json.dumps([narrower])).body
    assert body is not None
    details: Any = body["authorization_details"]
    assert details[0]["items"] == [
        {
            "datatype": "tax.vat_invoice_summary",
            "form": "read",
            "fields": ["uscc", "period", "direction", "tax_amount"],
            "period": {"from": "2026-01", "to": "2026-10"},
        }
    ]
    row = desk.tokens[digest(str(body["access_token"]))]
    assert row.items == "tax.vat_invoice_summary:read:2026-01/2026-10:27"
    whole = desk.refresh(alpha, first["refresh_token"]).body
    assert whole is not None and whole["authorization_details"] == first["authorization_details"]


def test_rfc9396_7_what_was_granted_can_be_sent_back_as_it_is(desk: Desk, alpha: Person) -> None:
    first = desk.tokens_of(alpha)
    echoed = json.dumps(first["authorization_details"])
    body = desk.refresh(alpha, first["refresh_token"], authorization_details=echoed).body
    assert body is not None and body["authorization_details"] == first["authorization_details"]


@pytest.mark.parametrize(
    "change",
    [
        {"subject": {"uscc": str(issue_fictitious(2))}},
        {"purpose": {"code": "POST_LOAN"}},
        {"items": [{"datatype": "tax.tax_arrears"}]},
        {"items": [{"datatype": "social_insurance.si_contributions", "form": "read"}]},
        {"items": [{"datatype": "tax.vat_invoice_summary", "period": {"from": "2020-01"}}]},
        {"items": [{"datatype": "tax.vat_invoice_summary", "fields": ["no_such_field"]}]},
        {"validity": {"days": 1}},
        {"validity": {"not_after": "2027-11-23T08:00:00Z"}},
        {"use": {"max_queries": 1}},
        {"actions": ["delete"]},
    ],
)
def test_rfc9396_6_a_refresh_never_widens_and_drops_nothing_silently(
    desk: Desk, alpha: Person, change: dict[str, Any]
) -> None:
    refresh = desk.tokens_of(alpha)["refresh_token"]
    asked = json.dumps([DETAILS | change])
    call = lambda: desk.refresh(alpha, refresh, authorization_details=asked)  # noqa: E731
    assert code_of(call) == "invalid_authorization_details"


def test_a_stray_token_parameter_does_not_stand_in_for_the_refresh_token(desk: Desk, alpha: Person) -> None:
    refresh = desk.tokens_of(alpha)["refresh_token"]
    assert code_of(lambda: desk.refresh(alpha, "xrt_unknown", token=refresh)) == "invalid_grant"
    assert desk.refresh(alpha, refresh, token="xrt_unknown").status == 200


def test_a_snapshot_of_another_token_is_not_taken_for_the_named_one(desk: Desk, alpha: Person) -> None:
    row = next(row for row in (desk.tokens_of(alpha), *desk.tokens.values())[1:] if row.kind == "refresh")
    loaded = Loaded(token=token_view(row), grant=desk.grants["grt_0"])
    form = alpha.authenticated(token="xrt_other", refresh_token="xrt_other", grant_type="refresh_token")
    parsed, who = desk.admit(Endpoint.TOKEN, raw(form, dpop=alpha.proof(TOKEN)))
    assert decide.decide_introspect(RULES, parsed, who, loaded, now=desk.now).body == {"active": False}
    assert decide.decide_revoke(RULES, parsed, who, loaded, now=desk.now).ends is None
    assert code_of(lambda: decide.decide_token(RULES, parsed, who, loaded, now=desk.now)) == "invalid_grant"
