"""Signing by passkey: the exact document, the exact place, the person present and verified, a counter that moves on."""

import base64
import dataclasses
import hashlib
import json
from collections.abc import Callable
from typing import Any

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consent.canonical import canonical
from consent.document import challenge
from consent.errors import Invalid
from consent.signing import (
    MAX_CREDENTIAL_ID,
    MAX_RESPONSE,
    Passkey,
    RelyingParty,
    parse_response,
    register,
    verify,
)
from deploy.sandbox.authenticator import Authenticator
from tests.consent.webauthn_device import (
    AAGUID,
    ATTESTED,
    BACKED_UP,
    ELIGIBLE,
    ORIGIN,
    PARTY_ID,
    PRESENT,
    VERIFIED,
    Device,
    authenticator_data,
    b64url,
    client_data,
)

PARTY = RelyingParty(PARTY_ID, ORIGIN)
NONCE = b"n" * 32
DOCUMENT = canonical({"type": "urn:xyd:consent-document:1", "id": "grt_1", "items": ["增值税发票汇总"]})
CHALLENGE = challenge(DOCUMENT)
QUICK = settings(deadline=None, max_examples=120)


def registered(device: Device) -> Passkey:
    """The device's passkey, registered as the node does."""
    return register(device.create(NONCE), challenge=NONCE, party=PARTY, signatory="sig_1", now_ms=7)


def refused_registration(response: Any) -> Invalid:
    """Why a registration was refused."""
    with pytest.raises(Invalid) as refused:
        register(response, challenge=NONCE, party=PARTY, signatory="sig_1", now_ms=7)
    return refused.value


def refused_signature(response: Any, passkey: Passkey, expected: bytes = CHALLENGE) -> Invalid:
    """Why a signature was refused."""
    with pytest.raises(Invalid) as refused:
        verify(response, passkey, challenge=expected, party=PARTY)
    assert refused.value.code == "signature.invalid"
    return refused.value


@pytest.fixture
def device() -> Device:
    """A phone."""
    return Device()


@pytest.fixture
def passkey(device: Device) -> Passkey:
    """Its passkey, known to the node."""
    return registered(device)


def test_a_registration_gives_the_passkey_as_attested(device: Device, passkey: Passkey) -> None:
    assert (passkey.credential_id, passkey.signatory, passkey.created_ms) == (device.id, "sig_1", 7)
    assert passkey.public_key == cbor2.dumps(device.cose_key())
    assert (passkey.sign_count, passkey.backed_up) == (0, False)
    assert passkey.aaguid.replace("-", "") == AAGUID.hex()


def test_a_signature_over_the_document_is_taken(device: Device, passkey: Passkey) -> None:
    assertion = verify(device.get(CHALLENGE), passkey, challenge=CHALLENGE, party=PARTY)
    assert (assertion.credential_id, assertion.sign_count) == (device.id, 1)


def test_the_evidence_can_be_checked_without_the_node(device: Device, passkey: Passkey) -> None:
    kept = json.loads(verify(device.get(CHALLENGE), passkey, challenge=CHALLENGE, party=PARTY).evidence)
    raw = {name: base64.urlsafe_b64decode(kept[name] + "==") for name in ("client_data_json", "authenticator_data")}
    told = json.loads(raw["client_data_json"])
    assert base64.urlsafe_b64decode(told["challenge"] + "=") == challenge(DOCUMENT)
    cose = cbor2.loads(bytes.fromhex(kept["cose_key"]))
    point = ec.EllipticCurvePublicNumbers(int.from_bytes(cose[-2]), int.from_bytes(cose[-3]), ec.SECP256R1())
    signed = raw["authenticator_data"] + hashlib.sha256(raw["client_data_json"]).digest()
    signature = base64.urlsafe_b64decode(kept["signature"] + "==")
    point.public_key().verify(signature, signed, ec.ECDSA(hashes.SHA256()))


def test_the_evidence_is_spelt_one_way_whatever_the_browser_added(device: Device, passkey: Passkey) -> None:
    response = device.get(CHALLENGE)
    plain = verify(response, passkey, challenge=CHALLENGE, party=PARTY).evidence
    for name in ("clientDataJSON", "authenticatorData", "signature"):
        response["response"][name] = "!\n" + response["response"][name] + "=="
    assert verify(response, passkey, challenge=CHALLENGE, party=PARTY).evidence == plain


WRONG: dict[str, Callable[[Device], dict[str, Any]]] = {
    "user not verified": lambda device: device.get(CHALLENGE, flags=PRESENT),
    "user not present": lambda device: device.get(CHALLENGE, flags=VERIFIED),
    "another challenge": lambda device: device.get(challenge(DOCUMENT + b" ")),
    "no challenge": lambda device: device.get(b""),
    "half a challenge": lambda device: device.get(CHALLENGE[:16]),
    "the document's plain digest": lambda device: device.get(hashlib.sha256(DOCUMENT).digest()),
    "another origin": lambda device: device.get(CHALLENGE, origin="https://phone.example.evil"),
    "another port": lambda device: device.get(CHALLENGE, origin=ORIGIN + ":8443"),
    "plain http": lambda device: device.get(CHALLENGE, origin="http://phone.example"),
    "a trailing slash": lambda device: device.get(CHALLENGE, origin=ORIGIN + "/"),
    "another relying party": lambda device: device.get(CHALLENGE, party="example"),
    "a registration's client data": lambda device: device.get(CHALLENGE, kind="webauthn.create"),
    "a payment's client data": lambda device: device.get(CHALLENGE, kind="payment.get"),
    "backed up but not eligible": lambda device: device.get(CHALLENGE, flags=PRESENT | VERIFIED | BACKED_UP),
}


@pytest.mark.parametrize("what", sorted(WRONG))
def test_a_signature_is_refused_for(what: str, device: Device, passkey: Passkey) -> None:
    refused_signature(WRONG[what](device), passkey)


def test_a_signature_over_an_altered_document_is_refused(device: Device, passkey: Passkey) -> None:
    response = device.get(CHALLENGE)
    for altered in (DOCUMENT.replace(b"grt_1", b"grt_2"), DOCUMENT[:-1], DOCUMENT + b"\n", b""):
        refused_signature(response, passkey, challenge(altered))


def test_another_key_under_the_same_credential_id_is_refused(device: Device, passkey: Passkey) -> None:
    refused_signature(Device(credential=device.credential).get(CHALLENGE), passkey)


def test_another_credential_is_refused(passkey: Passkey) -> None:
    assert refused_signature(Device(credential=b"other").get(CHALLENGE), passkey).detail == "another device signed"


@pytest.mark.parametrize(("known", "sent"), [(5, 5), (5, 4), (5, 0), (1, 1), (2**31, 1)])
def test_a_counter_that_does_not_move_on_is_refused(device: Device, passkey: Passkey, known: int, sent: int) -> None:
    passkey.sign_count = known
    refused_signature(device.get(CHALLENGE, count=sent), passkey)


@pytest.mark.parametrize(("known", "sent"), [(0, 0), (0, 1), (5, 6), (5, 2**32 - 1)])
def test_a_counter_that_moves_on_or_was_never_kept_is_taken(
    device: Device, passkey: Passkey, known: int, sent: int
) -> None:
    passkey.sign_count = known
    assert verify(device.get(CHALLENGE, count=sent), passkey, challenge=CHALLENGE, party=PARTY).sign_count == sent


@pytest.mark.parametrize("name", ["clientDataJSON", "authenticatorData", "signature"])
def test_a_change_of_any_signed_byte_is_refused(name: str, device: Device, passkey: Passkey) -> None:
    response = device.get(CHALLENGE)
    whole = base64.urlsafe_b64decode(response["response"][name] + "==")
    for place in range(0, len(whole), 1 if len(whole) < 80 else 3):
        changed = bytearray(whole)
        changed[place] ^= 0x01
        response["response"][name] = b64url(bytes(changed))
        refused_signature(response, passkey)
    response["response"][name] = b64url(whole)
    assert verify(response, passkey, challenge=CHALLENGE, party=PARTY)


RSA_1024 = {1: 3, 3: -257, -1: b"\xff" * 128, -2: b"\1\0\1"}
WRONG_BIRTH: dict[str, Callable[[Device], dict[str, Any]]] = {
    "user not verified": lambda device: device.create(NONCE, flags=PRESENT),
    "user not present": lambda device: device.create(NONCE, flags=VERIFIED),
    "another challenge": lambda device: device.create(b"m" * 32),
    "another origin": lambda device: device.create(NONCE, origin="https://evil.example"),
    "another relying party": lambda device: device.create(NONCE, party="evil.example"),
    "an assertion's client data": lambda device: device.create(NONCE, kind="webauthn.get"),
    "an id that is not the attested one": lambda device: device.create(NONCE, attested_id=b"somebody-else's"),
    "no id": lambda device: device.create(NONCE, attested_id=b""),
    "an id longer than we keep": lambda device: Device(credential=b"z" * MAX_CREDENTIAL_ID).create(NONCE),
    "a key for another algorithm": lambda device: device.create(NONCE, cose=device.cose_key() | {3: -8}),
    "a key that is an empty list": lambda device: device.create(NONCE, cose=[]),
    "a key that is an empty text": lambda device: device.create(NONCE, cose=""),
    "a key that is a number": lambda device: device.create(NONCE, cose=4),
    "a key that is no point of the curve": lambda device: device.create(
        NONCE, cose=device.cose_key() | {-2: b"x" * 32}
    ),
    "a key of another curve": lambda device: device.create(NONCE, cose=device.cose_key() | {-1: 2}),
    "an elliptic key for RSA": lambda device: device.create(NONCE, cose=device.cose_key() | {3: -257}),
    "a short RSA key": lambda device: device.create(NONCE, cose=RSA_1024),
    "an RSA key for ES256": lambda device: device.create(NONCE, cose=RSA_1024 | {3: -7, -1: b"\xff" * 256}),
    "a key without an algorithm": lambda device: device.create(NONCE, cose={1: 2}),
    "backed up but not eligible": lambda device: device.create(NONCE, flags=PRESENT | VERIFIED | BACKED_UP),
    "an assertion": lambda device: device.get(NONCE),
}


@pytest.mark.parametrize("what", sorted(WRONG_BIRTH))
def test_a_registration_is_refused_for(what: str, device: Device) -> None:
    assert refused_registration(WRONG_BIRTH[what](device)).code == "signature.invalid"


def test_a_synced_passkey_is_taken_and_marked(device: Device) -> None:
    flags = PRESENT | VERIFIED | ELIGIBLE | BACKED_UP
    made = register(device.create(NONCE, flags=flags), challenge=NONCE, party=PARTY, signatory="s", now_ms=1)
    assert made.backed_up is True


def test_the_longest_id_we_keep_is_taken() -> None:
    longest = Device(credential=b"z" * (MAX_CREDENTIAL_ID * 3 // 4))
    assert len(registered(longest).credential_id) == MAX_CREDENTIAL_ID


def test_an_rsa_key_signs_too() -> None:
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_numbers()
    device = Device(credential=b"rsa")
    cose = {1: 3, 3: -257, -1: public.n.to_bytes(256), -2: public.e.to_bytes(3)}
    made = register(device.create(NONCE, cose=cose), challenge=NONCE, party=PARTY, signatory="s", now_ms=1)
    response = device.get(CHALLENGE)
    signed = authenticator_data(PARTY_ID, PRESENT | VERIFIED, 1)
    signed += hashlib.sha256(client_data("webauthn.get", CHALLENGE, ORIGIN)).digest()
    response["response"]["signature"] = b64url(key.sign(signed, padding.PKCS1v15(), hashes.SHA256()))
    assert verify(response, made, challenge=CHALLENGE, party=PARTY).sign_count == 1
    refused_signature(device.get(CHALLENGE), made)


@pytest.mark.parametrize("fmt", ["packed", "fido-u2f", "tpm", "apple", "android-key", "android-safetynet", "", 7, None])
@pytest.mark.parametrize("statement", [{}, {"alg": -7, "sig": b"x", "x5c": []}, {"response": "x", "ver": "1"}, [], 7])
def test_an_attestation_nobody_vouches_for_is_refused(fmt: Any, statement: Any, device: Device) -> None:
    response = device.create(NONCE)
    whole = cbor2.loads(base64.urlsafe_b64decode(response["response"]["attestationObject"] + "=="))
    response["response"]["attestationObject"] = b64url(cbor2.dumps(whole | {"fmt": fmt, "attStmt": statement}))
    refused_registration(response)


# ------------------------------------------------------------------------------------------------------- what is sent

NOT_A_CREDENTIAL = [
    *(b"", b"{", b"[]", b"null", b"7", b'"x"', b"{}", b'{"id":7}', b'{"id":null}', b'{"ID":"x"}', b"\xff\xfe", b"NaN"),
    *(b'{"id":"' + b"x" * MAX_RESPONSE + b'"}', b"[" * 8000, b'{"id":' * 2000, b"9" * 6000, "{'id':'x'}", "\ud800"),
]


@pytest.mark.parametrize("sent", NOT_A_CREDENTIAL, ids=range(len(NOT_A_CREDENTIAL)))
def test_what_is_no_object_with_an_id_or_too_large_is_invalid(sent: bytes | str) -> None:
    with pytest.raises(Invalid):
        parse_response(sent)


def test_a_response_of_exactly_the_limit_is_read() -> None:
    frame = b'{"id":""}'
    text = b'{"id":"' + b"x" * (MAX_RESPONSE - len(frame)) + b'"}'
    assert len(text) == MAX_RESPONSE and parse_response(text)["id"]
    with pytest.raises(Invalid):
        parse_response(text + b" ")


JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
SHARED = Device()
KNOWN = registered(SHARED)
BORN, SIGNED = SHARED.create(NONCE), SHARED.get(CHALLENGE, count=9)
NAMES = st.sampled_from(
    [
        *("rawId", "type", "response", "authenticatorAttachment", "clientExtensionResults"),
        *("clientDataJSON", "authenticatorData", "signature", "userHandle", "attestationObject", "transports"),
    ]
)


BIRTH_NEEDS = {"rawId", "type", "response", "clientDataJSON", "attestationObject"}
SIGNATURE_NEEDS = {"rawId", "type", "response", "clientDataJSON", "authenticatorData", "signature"}


def spoilt(response: dict[str, Any], name: str, value: Any) -> dict[str, Any]:
    """A copy with one member replaced, wherever it belongs."""
    inner = dict(response["response"])
    if name in ("rawId", "type", "response", "authenticatorAttachment", "clientExtensionResults"):
        return {**response, "response": inner, name: value}
    return {**response, "response": {**inner, name: value}}


def invalid(act: Callable[[], object]) -> bool:
    """Whether the law says no; anything else that is raised is a failure of the test."""
    try:
        act()
    except Invalid as refused:
        return refused.code == "signature.invalid"
    return False


@given(NAMES, JSON | st.binary(max_size=60).map(b64url))
@example("userHandle", "\ud800")
@example("userHandle", "é")
@example("transports", [[], {}])
@example("type", [])
@example("attestationObject", "")
@QUICK
def test_a_spoilt_response_is_invalid_and_never_anything_else(name: str, value: Any) -> None:
    born, signed = spoilt(BORN, name, value), spoilt(SIGNED, name, value)
    birth = invalid(lambda: register(born, challenge=NONCE, party=PARTY, signatory="s", now_ms=1))
    signature = invalid(lambda: verify(signed, KNOWN, challenge=CHALLENGE, party=PARTY))
    assert birth or name not in BIRTH_NEEDS
    assert signature or name not in SIGNATURE_NEEDS


@given(st.binary(max_size=80))
@example(b"[]")
@example(b"[" * 3000)
@example(b'{"type":[],"challenge":1,"origin":{}}')
@example(b'{"type":"webauthn.get","challenge":"\\ud800","origin":1}')
@QUICK
def test_any_bytes_for_client_data_authenticator_data_or_key_are_invalid(data: bytes) -> None:
    for name in ("clientDataJSON", "authenticatorData", "signature"):
        refused_signature(spoilt(SIGNED, name, b64url(data)), KNOWN)
    for name in ("clientDataJSON", "attestationObject"):
        refused_registration(spoilt(BORN, name, b64url(data)))


COSE: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        1: st.sampled_from([1, 2, 3, 7, None, "2", [], {}]),
        3: st.sampled_from([-7, -257, -8, 0, None, [], "ES256"]),
        -1: st.sampled_from([1, 2, 3, b"x" * 256, b"", None, "P-256", []]),
        -2: st.sampled_from([b"x" * 32, b"\0" * 32, b"", b"\1\0\1", 7, None, "x", []]),
        -3: st.sampled_from([b"y" * 32, b"", 7, None, "y", []]),
    },
)


@given(COSE | JSON)
@QUICK
def test_a_strange_key_never_signs_and_never_breaks_the_node(cose: Any) -> None:
    device = Device(credential=b"strange")
    try:
        made = register(
            device.create(NONCE, cose=cose if cose is not None else {}),
            challenge=NONCE,
            party=PARTY,
            signatory="s",
            now_ms=1,
        )
    except Invalid:
        return
    refused_signature(device.get(CHALLENGE), made)


def test_extra_bytes_behind_the_authenticator_data_are_refused(device: Device, passkey: Passkey) -> None:
    response = device.get(CHALLENGE, flags=PRESENT | VERIFIED | ATTESTED)
    refused_signature(response, passkey)


def test_a_relying_party_is_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        PARTY.origin = "https://evil.example"  # type: ignore[misc]


def test_the_sandboxs_authenticator_is_verified_by_the_same_code() -> None:
    sandbox = Authenticator()
    ceremony = {"rp": {"id": PARTY_ID}, "algorithms": [-7, -257], "challenge": b64url(NONCE)}
    made = register(sandbox.create(ceremony, ORIGIN), challenge=NONCE, party=PARTY, signatory="s", now_ms=1)
    signed = sandbox.get({**ceremony, "credential": made.credential_id}, CHALLENGE, ORIGIN)
    assert verify(signed, made, challenge=CHALLENGE, party=PARTY).sign_count == 1
    sandbox.verified = False
    refused_signature(sandbox.get({**ceremony, "credential": made.credential_id}, CHALLENGE, ORIGIN), made)
