"""Client authentication: RFC 7523 §3, FAPI 2.0 §5.3.2.1 (checklist items 4, 7, 9, 13, 30, 32)."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from typing import Any

import pytest

from consent.oauth import bank
from consent.oauth.errors import InvalidClientError, InvalidRequestError
from consent.oauth.request import Endpoint, parse
from tests.consent.oauth.people import NOW, RULES, Desk, Person, key, public, raw, refusal, sign

AT = int(NOW.timestamp())


def present(desk: Desk, person: Person, assertion: str, **form: str) -> str:
    _, who = desk.admit(Endpoint.INTROSPECT, raw(person.authenticated(client_assertion=assertion, token="t", **form)))
    return who.client.client_id


@pytest.mark.parametrize(("alg", "jose_alg"), [("ES256", "ES256"), ("PS256", "PS256"), ("Ed25519", "Ed25519")])
def test_rfc7523_3_each_algorithm_of_fapi_authenticates(alg: str, jose_alg: str) -> None:
    person = Person("bank-x", alg, jose_alg=jose_alg)
    assert present(Desk({"bank-x": person}), person, person.assertion()) == "bank-x"


def test_rfc9864_the_older_name_eddsa_is_accepted() -> None:
    person = Person("bank-x", "Ed25519", jose_alg="EdDSA")
    assert present(Desk({"bank-x": person}), person, person.assertion()) == "bank-x"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": [RULES.issuer.url]},
        {"aud": RULES.issuer.pushed_url},
        {"aud": RULES.issuer.token_url},
        {"aud": RULES.issuer.url + "/"},
        {"aud": None},
        {"sub": None},
        {"iss": None},
        {"iss": "bank-beta"},
        {"jti": None},
        {"jti": ""},
        {"jti": 7},
        {"jti": "j" * 257},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": AT - 300},
        {"exp": AT - 10},
        {"exp": AT + 311},
        {"exp": AT + 10 * 365 * 86_400},
        {"exp": 10**400},
        {"iat": AT + 61},
        {"nbf": AT + 61},
        {"iat": "now"},
    ],
)
def test_rfc7523_3_claims_out_of_order_are_invalid_client(desk: Desk, alpha: Person, claims: dict[str, Any]) -> None:
    with pytest.raises(InvalidClientError) as caught:
        present(desk, alpha, alpha.assertion(**claims))
    assert refusal(caught.value) == (401, "invalid_client")


@pytest.mark.parametrize(
    "claims",
    [
        {"iat": AT + 8},
        {"iat": AT + 10},
        {"nbf": AT + 10},
        {"exp": AT + 300},
        {"exp": AT + 308},
        {"exp": AT - 9},
        {"iat": None},
        {"extra": {"member": 1}},
        {"exp": AT + 59.5},
    ],
)
def test_fapi2_5_3_2_1_small_skew_and_extra_claims_pass(desk: Desk, alpha: Person, claims: dict[str, Any]) -> None:
    assert present(desk, alpha, alpha.assertion(**claims)) == "bank-alpha"


def test_fapi2_5_3_2_1_an_assertion_is_used_once(desk: Desk, alpha: Person) -> None:
    assertion = alpha.assertion()
    present(desk, alpha, assertion)
    with pytest.raises(InvalidClientError):
        present(desk, alpha, assertion)


def test_replay_key_outlives_the_assertion(desk: Desk, alpha: Person) -> None:
    _, who = desk.admit(Endpoint.INTROSPECT, raw(alpha.authenticated(token="t")))
    assert who.replays[0].expires_ms > (AT + 60 + 10) * 1000
    assert who.replays[0].issued_ms <= AT * 1000
    _, late = desk.admit(Endpoint.INTROSPECT, raw(alpha.authenticated(client_assertion=alpha.assertion(iat=None))))
    assert late.replays[0].issued_ms == (AT + 60 - 310) * 1000


@pytest.mark.parametrize("alg", ["RS256", "HS256", "none"])
def test_fapi2_5_4_other_algorithms_are_refused(desk: Desk, alpha: Person, alg: str) -> None:
    good = alpha.assertion().split(".")
    head = urlsafe_b64encode(b'{"alg":"%s"}' % alg.encode()).rstrip(b"=").decode()
    for signature in (good[2], ""):
        with pytest.raises(InvalidClientError):
            present(desk, alpha, f"{head}.{good[1]}.{signature}")


def test_rfc8725_3_1_the_algorithm_is_the_registered_one(desk: Desk) -> None:
    person = Person("bank-x")
    person.row.jwks = '{"keys":[%s,%s]}' % tuple(  # noqa: UP031
        __import__("json").dumps(public(key(kind, "bank-x"))) for kind in ("ES256", "PS256")
    )
    both = Desk({"bank-x": person})
    with pytest.raises(InvalidClientError):
        present(both, person, person.assertion(signer=key("PS256", "bank-x"), header={"alg": "PS256"}))
    assert present(both, person, person.assertion()) == "bank-x"


def test_rfc7515_4_1_11_an_unknown_critical_header_is_refused(desk: Desk, alpha: Person) -> None:
    good = alpha.assertion().split(".")
    for head in (b'{"alg":"ES256","crit":["x"],"x":1}', b'{"alg":"ES256","crit":["b64"],"b64":false}', b'["alg"]'):
        with pytest.raises(InvalidClientError):
            present(desk, alpha, f"{urlsafe_b64encode(head).rstrip(b'=').decode()}.{good[1]}.{good[2]}")


def test_a_key_in_the_assertions_own_header_is_never_used(desk: Desk, alpha: Person, beta: Person) -> None:
    forged = alpha.assertion(signer=beta.key, header={"jwk": public(beta.key)})
    with pytest.raises(InvalidClientError):
        present(desk, alpha, forged)


def test_another_banks_signature_is_refused(desk: Desk, alpha: Person, beta: Person) -> None:
    with pytest.raises(InvalidClientError):
        present(desk, alpha, alpha.assertion(signer=beta.key))


def test_unknown_client_and_wrong_signature_look_the_same(desk: Desk, alpha: Person, beta: Person) -> None:
    seen = []
    for assertion in (Person("bank-nobody").assertion(), alpha.assertion(signer=beta.key)):
        with pytest.raises(InvalidClientError) as caught:
            present(desk, alpha, assertion)
        seen.append(caught.value.description)
    assert seen[0] == seen[1]


def test_rfc7517_4_5_a_decoy_or_a_doubled_kid_does_not_break_key_choice(desk: Desk, alpha: Person) -> None:
    own, other = public(alpha.key), public(key("ES256", "stranger"))
    decoys = [{"kty": "XX", "kid": own["kid"]}, {"kty": "EC", "crv": "P-256"}, 7, other | {"kid": own["kid"]}]
    alpha.row.jwks = __import__("json").dumps({"keys": [*decoys, {**own, "use": "enc"}, own]})
    assert present(desk, alpha, alpha.assertion(header={"kid": own["kid"]})) == "bank-alpha"
    assert present(desk, alpha, alpha.assertion()) == "bank-alpha"
    with pytest.raises(InvalidClientError):
        present(desk, alpha, alpha.assertion(header={"kid": "no-such-key"}))


def test_key_rotation_with_grace_both_keys_work_then_only_the_new_one(desk: Desk, alpha: Person) -> None:
    old, new = alpha.key, key("ES256", "bank-alpha-next")
    bank.rekey(alpha.row, {"keys": [public(old), public(new)]}, "ES256")
    assert present(desk, alpha, alpha.assertion(signer=old)) == present(desk, alpha, alpha.assertion(signer=new))
    bank.rekey(alpha.row, {"keys": [public(new)]}, "ES256")
    with pytest.raises(InvalidClientError):
        present(desk, alpha, alpha.assertion(signer=old))


def test_a_suspended_bank_cannot_authenticate_until_it_is_resumed(desk: Desk, alpha: Person) -> None:
    assert bank.suspend(alpha.row).public == {"act": "suspend"}
    with pytest.raises(InvalidClientError):
        present(desk, alpha, alpha.assertion())
    bank.resume(alpha.row)
    assert present(desk, alpha, alpha.assertion()) == "bank-alpha"


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"client_id": "bank-alpha"},
        {"client_id": "bank-alpha", "client_secret": "s3cret"},
        {"client_assertion": "x", "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"},
        {
            "client_assertion": "a.b.c",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        },
    ],
)
def test_fapi2_5_3_2_1_no_public_or_secret_clients(desk: Desk, form: dict[str, str]) -> None:
    with pytest.raises(InvalidClientError):
        desk.admit(Endpoint.TOKEN, raw(form | {"token": "t"}))


def test_rfc6749_2_3_one_method_only(desk: Desk, alpha: Person) -> None:
    for extra in ((b"authorization", b"Basic eDp5"), (b"Authorization", b"Bearer x")):
        with pytest.raises(InvalidClientError):
            desk.admit(Endpoint.TOKEN, raw(alpha.authenticated(), headers=(extra,)))
    with pytest.raises(InvalidClientError):
        desk.admit(Endpoint.TOKEN, raw(alpha.authenticated(client_secret="x")))


@pytest.mark.parametrize(
    "payload", [b"[]", b"7", b"\xff", b"[" * 5000, b'{"sub":"\\ud800"}', b"{}", b'{"sub":["bank-alpha"]}']
)
def test_a_payload_that_is_no_claims_object_is_invalid_client(desk: Desk, alpha: Person, payload: bytes) -> None:
    with pytest.raises(InvalidClientError):
        present(desk, alpha, sign(payload, alpha.key, {"alg": "ES256"}))


def test_oversized_assertions_are_refused_before_any_crypto(desk: Desk, alpha: Person) -> None:
    with pytest.raises(InvalidClientError):
        present(desk, alpha, "a" * 20_000 + "." + alpha.assertion().partition(".")[2])
    with pytest.raises(InvalidClientError):
        present(desk, alpha, alpha.assertion(header={"alg": "ES256"}) + "A" * 17_000)


def test_the_client_id_of_another_bank_in_the_form_is_refused(desk: Desk, alpha: Person) -> None:
    with pytest.raises(InvalidClientError):
        present(desk, alpha, alpha.assertion(), client_id="bank-beta")
    assert present(desk, alpha, alpha.assertion(), client_id="bank-alpha") == "bank-alpha"


def test_credentials_in_the_address_are_refused(alpha: Person) -> None:
    request = raw(alpha.authenticated())
    with pytest.raises(InvalidRequestError):
        parse(RULES.issuer, Endpoint.TOKEN, type(request)("POST", request.headers, request.body, b"client_id=x"))
