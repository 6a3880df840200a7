"""DPoP proofs: RFC 9449 §4.3 as the FAPI suite drives it (checklist items 33 and 34)."""

from __future__ import annotations

import sys
import time
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from consent.oauth import dpop
from consent.oauth.errors import InvalidProof
from consent.oauth.jose import import_public
from tests.consent.oauth.people import NOW, RULES, Person, ath_of, key, public, refusal, sign

URL = RULES.issuer.at("/v1/queries")
AT = int(NOW.timestamp())
TOKEN = "xat_" + "a" * 43


def check(proof: str, *, htm: str = "POST", htu: str = URL, ath: str | None = None) -> dpop.Proof:
    return dpop.verify(proof, htm=htm, htu=htu, now_s=NOW.timestamp(), ath=ath)


@pytest.mark.parametrize("alg", ["ES256", "PS256", "Ed25519", "EdDSA"])
def test_rfc9449_4_3_each_algorithm_of_fapi_is_accepted(alg: str) -> None:
    person = Person("bank-x", "Ed25519" if alg == "EdDSA" else alg, jose_alg=alg)
    proof = check(person.proof(URL, ath=ath_of(TOKEN)), ath=ath_of(TOKEN))
    assert proof.jkt == import_public(public(person.key)).key.thumbprint()
    assert proof.issued_ms <= AT * 1000 < (AT + dpop.MAX_AGE_S) * 1000 < proof.expires_ms


@pytest.mark.parametrize(
    "htu",
    [
        URL + "?page=2",
        URL + "#top",
        "HTTP://LOCALHOST:8080/v1/queries",
        "http://localhost:8080/v1/%71ueries",
        "http://localhost:8080/v1/queries?x=%zz",
    ],
)
def test_rfc9449_4_3_htu_is_compared_normalised_and_without_query(alpha: Person, htu: str) -> None:
    assert check(alpha.proof(htu))


def test_rfc3986_6_2_3_the_default_port_may_be_named(alpha: Person) -> None:
    assert check(alpha.proof("https://gw.example:443/v1"), htu="https://gw.example/v1")
    assert check(alpha.proof("https://GW.example/v1"), htu="https://gw.example:443/v1")
    assert check(alpha.proof("https://gw.example"), htu="https://gw.example/")
    assert dpop.normal("http://[::1]:80/a%7eb%2f") == "http://[::1]/a~b%2F"


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"extra": {"a": 1}, "kid": "x"}, {"extra": [1, 2]}),
        ({}, {"exp": AT + 60, "nbf": AT}),
        ({}, {"iat": AT + 10}),
        ({}, {"iat": AT - 10}),
        ({}, {"iat": AT - 0.5}),
        ({}, {"nonce": "unasked"}),
        ({}, {"ath": "unasked"}),
    ],
)
def test_rfc9449_4_3_extra_members_and_small_skew_pass(alpha: Person, header: Any, claims: Any) -> None:
    assert check(alpha.proof(URL, header=header, **claims))


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"typ": None}, {}),
        ({"typ": "JWT"}, {}),
        ({"typ": "DPOP+JWT"}, {}),
        ({"jwk": None}, {}),
        ({"jwk": "x"}, {}),
        ({"jwk": {"kty": "EC"}}, {}),
        ({"jwk": {"kty": "oct", "k": "AAAA"}}, {}),
        ({}, {"jti": None}),
        ({}, {"jti": ""}),
        ({}, {"jti": 1}),
        ({}, {"jti": "j" * 257}),
        ({}, {"htm": None}),
        ({}, {"htm": "PUT"}),
        ({}, {"htm": "post"}),
        ({}, {"htu": None}),
        ({}, {"htu": RULES.issuer.at("/v1/assessments")}),
        ({}, {"htu": "http://localhost:8081/v1/queries"}),
        ({}, {"htu": "https://localhost:8080/v1/queries"}),
        ({}, {"htu": "http://user@localhost:8080/v1/queries"}),
        ({}, {"htu": "http://localhost:8080/v1/queries/"}),
        ({}, {"htu": "http://localhost:99999/v1"}),
        ({}, {"htu": "查询"}),
        ({}, {"htu": 7}),
        ({}, {"iat": None}),
        ({}, {"iat": "now"}),
        ({}, {"iat": True}),
        ({}, {"iat": AT - 3600}),
        ({}, {"iat": AT + 3600}),
        ({}, {"iat": AT + 61}),
        ({}, {"iat": 10**400}),
        ({}, {"exp": AT - 3600}),
        ({}, {"nbf": AT + 3600}),
        ({}, {"exp": "never"}),
    ],
)
def test_rfc9449_4_3_what_is_wrong_is_invalid_dpop_proof(alpha: Person, header: Any, claims: Any) -> None:
    with pytest.raises(InvalidProof) as caught:
        check(alpha.proof(URL, header=header, **claims))
    assert refusal(caught.value) == (400, "invalid_dpop_proof")
    assert check(alpha.proof(URL))


def test_rfc9449_4_3_11_ath_must_be_that_of_the_token(alpha: Person) -> None:
    for wrong in (None, ath_of("xat_other"), "", TOKEN):
        with pytest.raises(InvalidProof):
            check(alpha.proof(URL, ath=wrong), ath=ath_of(TOKEN))


def test_rfc9449_4_3_7_a_private_key_in_the_header_is_refused(alpha: Person) -> None:
    for kind in ("ES256", "PS256", "Ed25519"):
        private = key(kind, "bank-alpha")
        with pytest.raises(InvalidProof):
            check(alpha.proof(URL, signer=private, header={"alg": kind, "jwk": dict(private.as_dict(private=True))}))


@pytest.mark.parametrize("alg", ["RS256", "HS256", "none", "ES384"])
def test_rfc9449_4_3_5_only_the_named_asymmetric_algorithms(alpha: Person, alg: str) -> None:
    _, body, signature = alpha.proof(URL).split(".")
    forged = __import__("json").dumps({"typ": "dpop+jwt", "alg": alg, "jwk": public(alpha.key)}).encode()
    for tail in (signature, ""):
        with pytest.raises(InvalidProof):
            check(f"{urlsafe_b64encode(forged).rstrip(b'=').decode()}.{body}.{tail}")


def test_rfc8725_3_1_algorithm_and_key_must_fit(alpha: Person) -> None:
    for header in ({"jwk": public(key("Ed25519", "x"))}, {"jwk": public(alpha.key) | {"alg": "ES384"}}):
        with pytest.raises(InvalidProof):
            check(alpha.proof(URL, header=header))


def test_weak_or_monstrous_rsa_keys_are_refused(alpha: Person) -> None:
    for octets in (128, 1024):
        n = urlsafe_b64encode(b"\xff" * octets).rstrip(b"=").decode()
        with pytest.raises(InvalidProof, match="2048"):
            check(alpha.proof(URL, header={"alg": "PS256", "jwk": {"kty": "RSA", "e": "AQAB", "n": n}}))


def test_another_keys_signature_does_not_hold(alpha: Person, beta: Person) -> None:
    with pytest.raises(InvalidProof):
        check(alpha.proof(URL, header={"jwk": public(beta.key)}))


def test_rfc9449_4_3_2_not_three_parts(alpha: Person) -> None:
    good = alpha.proof(URL)
    for broken in ("", ".", "..", "a.b", good + ".x", good.partition(".")[2], good[:-1] + "=", f" {good}", good + "\n"):
        with pytest.raises(InvalidProof):
            check(broken)
    assert check(good)


def test_rfc7515_4_1_11_no_critical_header_is_understood(alpha: Person) -> None:
    body = alpha.proof(URL).split(".")[1]
    for members in ({"crit": ["x"], "x": 1}, {"crit": ["b64"], "b64": False}, {"b64": False}):
        full = {"typ": "dpop+jwt", "alg": "ES256", "jwk": public(alpha.key)} | members
        segment = urlsafe_b64encode(__import__("json").dumps(full).encode()).rstrip(b"=").decode()
        with pytest.raises(InvalidProof):
            check(f"{segment}.{body}.{'A' * 86}")


@pytest.mark.parametrize(
    "body", [b"[]", b"7", b"\xff", b"[" * 4000, b'{"jti":"a"}', b'{"iat":NaN}', b'{"jti":"\\ud800"}']
)
def test_a_payload_that_is_no_claims_object_is_refused(alpha: Person, body: bytes) -> None:
    head = {"typ": "dpop+jwt", "alg": "ES256", "jwk": public(alpha.key)}
    with pytest.raises(InvalidProof):
        check(sign(body, alpha.key, head))


def test_rfc9449_4_3_1_one_header_only_name_in_any_case() -> None:
    assert dpop.only([(b"DPoP", b"a.b.c"), (b"accept", b"*/*")]) == "a.b.c"
    assert dpop.only([(b"accept", b"*/*")]) is None
    for headers in ([(b"dpop", b"a"), (b"DPOP", b"a")], [(b"dpop", "证".encode())]):
        with pytest.raises(InvalidProof):
            dpop.only(headers)


def test_headers_up_to_4096_bytes_pass_and_larger_ones_do_not(alpha: Person) -> None:
    person = Person("bank-x", "PS256")
    assert len(person.proof(URL).partition(".")[0]) > 512
    assert check(person.proof(URL, header={"pad": "x" * 2000}))
    with pytest.raises(InvalidProof):
        check(alpha.proof(URL)[:10] + "A" * 4100 + alpha.proof(URL)[10:])


def test_rfc9449_11_1_the_replay_key_is_one_per_key_and_jti(alpha: Person, beta: Person) -> None:
    first, other = check(alpha.proof(URL, jti="same")), check(beta.proof(URL, jti="same"))
    elsewhere = check(alpha.proof(RULES.issuer.token_url, jti="same"), htu=RULES.issuer.token_url)
    assert first.replay.key == elsewhere.replay.key != other.replay.key


@pytest.mark.serial
def test_hot_path_budget_with_the_key_kept(alpha: Person) -> None:
    """At most 60 Python calls and about 100 µs of CPU; measured 22 calls and 94 µs, of which 86 are the ECDSA."""
    proof, ath = alpha.proof(URL, ath=ath_of(TOKEN)), ath_of(TOKEN)
    check(proof, ath=ath)
    calls = 0

    def count(_frame: object, event: str, _arg: object) -> None:
        nonlocal calls
        calls += event == "call"

    sys.setprofile(count)
    check(proof, ath=ath)
    sys.setprofile(None)
    assert calls <= 60
    best = min(_cpu_us(proof, ath) for _ in range(5))
    assert best < 400, "four times the budget: this machine is busy, or something was added to the path"


def _cpu_us(proof: str, ath: str) -> float:
    start = time.process_time_ns()
    for _ in range(50):
        check(proof, ath=ath)
    return (time.process_time_ns() - start) / 50 / 1000
