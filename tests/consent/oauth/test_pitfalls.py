"""The fifteen pitfalls of Authlib and joserfc in consent.md §2, one test each: each would fail FAPI 2.0 or leak."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from base64 import urlsafe_b64encode
from importlib.metadata import version

import pytest

from consent.oauth import bank, dpop, token
from consent.oauth.errors import (
    InvalidClientError,
    InvalidDetails,
    InvalidGrantError,
    InvalidProof,
    InvalidRequestError,
    OAuth2Error,
    reply_of_error,
)
from consent.oauth.grants import FapiCodeGrant, S256Only
from consent.oauth.jose import REGISTRY, SIGNING
from consent.oauth.onetime import Replay
from consent.oauth.request import Endpoint, parse
from consent.oauth.server import Case, ConsentServer
from tests.consent.oauth.people import CALLBACK, NOW, RULES, VERIFIER, Desk, Person, public, raw, refusal

AT = int(NOW.timestamp())


def test_pitfall_01_the_forms_client_id_is_compared_with_the_assertion(desk: Desk, alpha: Person) -> None:
    for endpoint in Endpoint:
        with pytest.raises(InvalidClientError):
            desk.admit(endpoint, raw(alpha.authenticated(client_id="bank-beta", token="t")))


@pytest.mark.parametrize("hostile", ['https://x"y', "https://银行.example/回调", "https://x\\y", "https://x\ty"])
def test_pitfall_02_hostile_input_is_an_error_never_a_500_and_never_echoed(
    desk: Desk, alpha: Person, hostile: str
) -> None:
    for name in (
        "redirect_uri",
        "response_type",
        "code_challenge_method",
        "code_challenge",
        "client_id",
        "dpop_jkt",
    ):
        with pytest.raises(OAuth2Error) as caught:
            desk.push(raw(alpha.push_form(**{name: hostile})))
        content = reply_of_error(caught.value).content
        assert content.isascii() and b"https://x" not in content


def test_pitfall_03_an_error_at_the_push_never_becomes_a_302(desk: Desk, alpha: Person) -> None:
    with pytest.raises(OAuth2Error) as caught:
        desk.push(raw(alpha.push_form(code_challenge_method="plain")))
    caught.value.redirect_uri = CALLBACK  # what Authlib sets after it has validated the URI
    reply = reply_of_error(caught.value)
    assert reply.status == 400 and "Location" not in dict(reply.headers)


def test_pitfall_04_aud_is_one_string_the_method_has_its_name_and_hs256_rs256_are_out(
    desk: Desk, alpha: Person
) -> None:
    with pytest.raises(InvalidClientError):
        desk.admit(Endpoint.TOKEN, raw(alpha.authenticated(client_assertion=alpha.assertion(aud=[RULES.issuer.url]))))
    assert ConsentServer(RULES, Case(NOW)).private_key_jwt.CLIENT_AUTH_METHOD == "private_key_jwt"
    assert set(SIGNING) == {"ES256", "PS256", "EdDSA", "Ed25519"}


def test_pitfall_05_exp_is_bounded_so_the_replay_memory_is(desk: Desk, alpha: Person) -> None:
    far = alpha.assertion(exp=AT + 10 * 365 * 86_400)
    with pytest.raises(InvalidClientError):
        desk.admit(Endpoint.TOKEN, raw(alpha.authenticated(client_assertion=far)))
    _, who = desk.admit(Endpoint.TOKEN, raw(alpha.authenticated(client_assertion=alpha.assertion(exp=AT + 310))))
    assert who.replays[0].expires_ms <= (AT + 330) * 1000


def test_pitfall_06_rsa_proofs_and_extra_header_members_pass_and_crit_does_not() -> None:
    person = Person("bank-x", "PS256")
    proof = person.proof(RULES.issuer.token_url, header={"extra": "member"})
    assert len(proof.partition(".")[0]) > 512 and REGISTRY.max_header_length == 4096
    assert dpop.verify(proof, htm="POST", htu=RULES.issuer.token_url, now_s=AT)
    critical = person.proof(RULES.issuer.token_url, header={"crit": ["extra"], "extra": 1})
    with pytest.raises(InvalidProof):
        dpop.verify(critical, htm="POST", htu=RULES.issuer.token_url, now_s=AT)


def test_pitfall_07_pkce_is_required_and_s256_and_a_missing_verifier_is_invalid_grant(
    desk: Desk, alpha: Person
) -> None:
    assert S256Only.DEFAULT_CODE_CHALLENGE_METHOD == "S256" and S256Only.SUPPORTED_CODE_CHALLENGE_METHOD == ["S256"]
    for form in ({"code_challenge": None}, {"code_challenge_method": "plain"}, {"code_challenge_method": None}):
        with pytest.raises(InvalidRequestError):
            desk.push(raw(alpha.push_form(**form)))
    with pytest.raises(InvalidGrantError):
        desk.redeem(alpha, desk.code(alpha), code_verifier=None)


def test_pitfall_08_redemption_is_one_claim_that_leaves_a_tombstone(desk: Desk, alpha: Person) -> None:
    code = desk.code(alpha)
    desk.redeem(alpha, code)
    assert [kept.used_ms for kept in desk.codes.values()] == [AT * 1000]
    with pytest.raises(InvalidGrantError):
        desk.redeem(alpha, code)
    assert len(desk.ended) == 1


def test_pitfall_09_replay_is_a_value_to_claim_not_a_look_up(desk: Desk, alpha: Person) -> None:
    proof = alpha.proof(RULES.issuer.pushed_url)
    _, who = desk.admit(Endpoint.PUSHED, raw(alpha.push_form(), dpop=proof))
    assert all(isinstance(each, Replay) and each.expires_ms > AT * 1000 for each in who.replays)
    assert [each.key.partition(":")[0] for each in who.replays] == ["assertion", "dpop"]
    with pytest.raises(InvalidProof):
        desk.admit(Endpoint.PUSHED, raw(alpha.push_form(), dpop=proof))


def test_pitfall_10_no_token_code_assertion_or_key_in_any_log_record(
    desk: Desk, alpha: Person, caplog: pytest.LogCaptureFixture
) -> None:
    logging.getLogger("authlib").setLevel(logging.NOTSET)
    caplog.set_level(logging.DEBUG)
    code = desk.code(alpha)
    body = desk.redeem(alpha, code).body
    assert body is not None
    refresh = str(body["refresh_token"])
    again = desk.refresh(alpha, refresh).body
    for call in (
        lambda: desk.redeem(alpha, code),
        lambda: desk.redeem(alpha, "wrong"),
        lambda: desk.admit(Endpoint.TOKEN, raw(alpha.authenticated(client_assertion=alpha.assertion(aud="x")))),
    ):
        with pytest.raises(OAuth2Error):
            call()
    desk.introspect(raw(alpha.authenticated(token=refresh)))
    desk.revoke(raw(alpha.authenticated(token=refresh)))
    assert logging.getLogger("authlib").getEffectiveLevel() >= logging.INFO
    said = "\n".join(f"{record.getMessage()} {record.args!r}" for record in caplog.records)
    assert again is not None
    for secret in (
        code,
        refresh,
        str(body["access_token"]),
        str(again["access_token"]),
        VERIFIER,
        "eyJ",
        "xat_",
        "xrt_",
    ):
        assert secret not in said


def test_pitfall_11_values_come_from_secrets_with_256_bits() -> None:
    values = {FapiCodeGrant.generate_authorization_code(None) for _ in range(64)}  # type: ignore[arg-type]
    assert len(values) == 64 and {len(value) for value in values} == {43}
    assert len(token.ACCESS_PREFIX) == len(token.REFRESH_PREFIX) == 4


def test_pitfall_12_addresses_come_from_the_issuer_never_from_host(alpha: Person) -> None:
    request = raw(alpha.authenticated(), headers=((b"host", b"evil.example"), (b"x-forwarded-host", b"evil.example")))
    assert (
        parse(RULES.issuer, Endpoint.TOKEN, request).uri
        == RULES.issuer.token_url
        == "http://localhost:8080/oauth/token"
    )


def test_pitfall_13_any_doubled_parameter_is_refused(desk: Desk, alpha: Person) -> None:
    form = "&".join(f"{name}=x" for name in ("resource", "resource"))
    with pytest.raises(InvalidRequestError):
        desk.admit(Endpoint.TOKEN, raw(form.encode()))
    for body in (
        b"authorization_details=type&authorization_details=uscc",
        b"authorization_details=&authorization_details=",
    ):
        with pytest.raises(InvalidDetails) as caught:
            desk.admit(Endpoint.PUSHED, raw(body))
        assert refusal(caught.value) == (400, "invalid_authorization_details")


def test_pitfall_14_introspection_tells_cnf_and_authorization_details(desk: Desk, alpha: Person) -> None:
    body = desk.introspect(raw(alpha.authenticated(token=desk.tokens_of(alpha)["access_token"]))).body
    assert body is not None and {"cnf", "authorization_details"} <= set(body)


def test_pitfall_15_no_deprecated_jose_no_alg_none_no_key_from_a_header(
    desk: Desk, alpha: Person, beta: Person
) -> None:
    assert tuple(int(part) for part in version("authlib").split(".")[:3]) >= (1, 9, 9)
    probe = "import sys, consent.oauth.decide, consent.oauth.metadata; print('authlib.jose' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"
    _, body, _ = alpha.assertion().split(".")
    none = urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode() + f".{body}."
    embedded = alpha.assertion(signer=beta.key, header={"jwk": public(beta.key), "kid": None})
    for forged in (none, embedded):
        with pytest.raises(InvalidClientError):
            desk.admit(Endpoint.TOKEN, raw(alpha.authenticated(client_assertion=forged)))
    with pytest.raises(ValueError):
        bank.view(bank.Bank(**{**alpha.row.model_dump(), "jwks": json.dumps({"keys": []})}))
