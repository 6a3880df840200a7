"""Our proof check against two that others wrote: joserfc's deserialisation and requests_oauth2client's server side.

Whatever one of them refuses for form, type, key or signature, ours must refuse; what ours accepts both must accept.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import import_key
from jwskate.jwk.alg import UnsupportedAlg
from requests_oauth2client.dpop import InvalidDPoPProof, validate_dpop_proof

from consent.oauth import dpop
from consent.oauth.errors import InvalidProof
from consent.oauth.jose import REGISTRY
from tests.consent.oauth.people import RULES, Person, ath_of, key, public

URL = RULES.issuer.at("/v1/queries")
TOKEN = "xat_" + "b" * 43
ALGORITHMS = ("ES256", "PS256", "EdDSA", "Ed25519")


def ours(proof: str, now: datetime) -> bool:
    try:
        dpop.verify(proof, htm="POST", htu=URL, now_s=now.timestamp(), ath=ath_of(TOKEN))
    except InvalidProof:
        return False
    return True


def joserfc_holds(proof: str) -> bool:
    try:
        head = json.loads(_decode(proof.partition(".")[0]))
        jws.deserialize_compact(proof, import_key(head["jwk"]), registry=REGISTRY)
    except (JoseError, ValueError, TypeError, KeyError, IndexError, RecursionError):
        return False
    return True


def theirs(proof: str, alg: str) -> bool:
    try:
        validate_dpop_proof(proof, htm="POST", htu=URL, ath=ath_of(TOKEN), algs=(alg,))
    except (InvalidDPoPProof, UnsupportedAlg, ValueError, TypeError, KeyError, AttributeError, OverflowError):
        return False
    return True


def _decode(segment: str) -> bytes:
    from base64 import urlsafe_b64decode

    return urlsafe_b64decode(segment + "=" * (-len(segment) % 4))


PEOPLE = [Person("bank-x", "Ed25519" if alg == "EdDSA" else alg, jose_alg=alg) for alg in ALGORITHMS]


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.jose_alg)
def test_all_three_accept_a_proof_in_order(person: Person) -> None:
    now = person.clock = datetime.now(UTC)
    proof = person.proof(URL, ath=ath_of(TOKEN))
    assert ours(proof, now) and joserfc_holds(proof)
    if person.jose_alg != "Ed25519":  # the peer knows the older name only
        assert theirs(proof, person.jose_alg)


MUTATIONS = st.sampled_from(
    ["none", "flip", "cut", "swap", "pad", "typ", "alg", "jwk", "htm", "htu", "ath", "jti", "iat", "extra"]
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(person=st.sampled_from(PEOPLE[:3]), mutation=MUTATIONS, at=st.integers(0, 2000), junk=st.text(max_size=12))
@example(person=PEOPLE[0], mutation="none", at=0, junk="")
@example(person=PEOPLE[2], mutation="extra", at=0, junk="查询")
def test_what_we_accept_the_peers_accept_and_the_other_way(person: Person, mutation: str, at: int, junk: str) -> None:
    now = person.clock = datetime.now(UTC)
    proof = mutated(person, mutation, at, junk)
    mine = ours(proof, now)
    if mine:
        assert joserfc_holds(proof) and theirs(proof, person.jose_alg)
    elif joserfc_holds(proof) and theirs(proof, person.jose_alg):
        # Only what we refuse on purpose: an empty jti, and iat more than 30 seconds ahead.
        assert mutation in {"jti", "iat"}, (mutation, proof)


def mutated(person: Person, mutation: str, at: int, junk: str) -> str:
    other = key("ES256", "stranger")
    header: dict[str, Any] = {
        "typ": {"typ": junk},
        "alg": {"alg": "RS256" if at % 2 else "EdDSA"},
        "jwk": {"jwk": public(other)},
        "extra": {"extra": junk},
    }.get(mutation, {})
    claims: dict[str, Any] = {
        "htm": {"htm": junk},
        "htu": {"htu": URL + junk},
        "ath": {"ath": junk},
        "jti": {"jti": junk},
        "iat": {"iat": int(person.clock.timestamp()) + at - 1000},
    }.get(mutation, {})
    proof = person.proof(URL, header=header, **({"ath": ath_of(TOKEN)} | claims))
    where = at % len(proof)
    match mutation:
        case "flip":
            return proof[:where] + ("A" if proof[where] != "A" else "B") + proof[where + 1 :]
        case "cut":
            return proof[:where]
        case "swap":
            head, body, signature = proof.split(".")
            return f"{head}.{signature}.{body}"
        case "pad":
            return proof[:where] + junk + proof[where:]
        case _:
            return proof


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.binary(max_size=200).map(lambda raw: raw.decode("latin-1"))))
@example("..")
@example("é.b.c")
@example(urlsafe_b64encode(b"[" * 2900).decode().rstrip("=") + ".e30.AA")
@example(urlsafe_b64encode(b'{"alg":["ES256"],"typ":"dpop+jwt"}').decode().rstrip("=") + ".e30.AA")
@example(
    urlsafe_b64encode(b'{"alg":"ES256","typ":"dpop+jwt","jwk":{"kty":["EC"],"crv":{}}}').decode().rstrip("=")
    + ".e30.AA"
)
def test_noise_is_never_anything_but_invalid_dpop_proof(noise: str) -> None:
    assert not ours(noise, datetime.now(UTC))
