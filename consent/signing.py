"""Signing by passkey: a WebAuthn assertion whose challenge is the hash of the consent document.

Verified by the `webauthn` library (W3C Web Authentication Level 2 §7.1, §7.2). User verification is required; only
ES256 and RS256 are offered, because those are what platform authenticators keep in hardware.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import BigInteger, Column, LargeBinary
from sqlmodel import Field, SQLModel
from webauthn import verify_authentication_response, verify_registration_response
from webauthn.helpers import (
    base64url_to_bytes,
    bytes_to_base64url,
    decode_credential_public_key,
    decoded_public_key_to_cryptography,
)
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.exceptions import WebAuthnException

from consent.errors import Invalid

ALGORITHMS = (COSEAlgorithmIdentifier.ECDSA_SHA_256, COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256)
RSA_BITS = 2048
MAX_RESPONSE = 16_384
"""Bytes of JSON a browser may send; real responses are 1-3 KB."""
MAX_CREDENTIAL_ID = 400
"""Characters of a credential id in base64url: what the column holds. Real ids have 16-64 bytes, sometimes 200."""
_BROKEN = (WebAuthnException, ValueError, LookupError, TypeError, AttributeError, UnsupportedAlgorithm)
"""What the library lets through on bytes made to break it (a COSE key that is an empty list), beside its own errors."""
_SIGNED = ("clientDataJSON", "authenticatorData", "signature")


class Passkey(SQLModel, table=True):
    """A credential of a signatory. `public_key` is the COSE key as registered."""

    __tablename__ = "passkey"

    credential_id: str = Field(primary_key=True, max_length=MAX_CREDENTIAL_ID)
    signatory: str = Field(unique=True, max_length=40)
    public_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    sign_count: int = Field(sa_column=Column(BigInteger, nullable=False))
    aaguid: str = Field(max_length=40)
    backed_up: bool
    created_ms: int = Field(sa_column=Column(BigInteger, nullable=False))


@dataclass(frozen=True, slots=True)
class RelyingParty:
    """Who the authenticator talks to: `id` is the public host name, `origin` the exact scheme://host:port."""

    id: str
    origin: str


@dataclass(frozen=True, slots=True)
class Assertion:
    """A verified assertion: which credential, its new counter, and the evidence to keep."""

    credential_id: str
    sign_count: int
    evidence: str


def parse_response(text: bytes | str) -> dict[str, Any]:
    """A browser's credential JSON. Raises Invalid when it is not an object with an `id` or too large."""
    if len(text) > MAX_RESPONSE:
        raise Invalid("the signature is too large")
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid("the signature is not JSON") from None
    if not isinstance(value, dict) or not isinstance(value.get("id"), str):
        raise Invalid("the signature is not a credential")
    return value


def register(
    response: dict[str, Any], *, challenge: bytes, party: RelyingParty, signatory: str, now_ms: int
) -> Passkey:
    """A new passkey of a signatory. Raises Invalid when attestation, challenge, origin or verification is wrong.

    The id that the browser names must be the attested one (§7.1 steps 22-23), which the library leaves to its caller.
    """
    try:
        verified = verify_registration_response(
            credential=response,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
            supported_pub_key_algs=list(ALGORITHMS),
        )
        _check_key(verified.credential_public_key)
    except _BROKEN as error:
        raise Invalid("the device could not be registered", code="signature.invalid", cause=str(error)) from None
    credential_id = bytes_to_base64url(verified.credential_id)
    if credential_id != response["id"] or len(credential_id) > MAX_CREDENTIAL_ID:
        raise Invalid("the device could not be registered", code="signature.invalid", cause="credential id")
    return Passkey(
        credential_id=credential_id,
        signatory=signatory,
        public_key=verified.credential_public_key,
        sign_count=verified.sign_count,
        aaguid=verified.aaguid,
        backed_up=verified.credential_backed_up,
        created_ms=now_ms,
    )


def _check_key(cose: bytes) -> None:
    """The key can sign at all: "none" attestation lets pass whatever names an algorithm. Raises ValueError."""
    decoded = decode_credential_public_key(cose)
    key = decoded_public_key_to_cryptography(decoded)
    if isinstance(key, ec.EllipticCurvePublicKey):
        fits = isinstance(key.curve, ec.SECP256R1) and decoded.alg == ALGORITHMS[0]
    else:
        fits = isinstance(key, rsa.RSAPublicKey) and key.key_size >= RSA_BITS and decoded.alg == ALGORITHMS[1]
    if not fits:
        raise ValueError("the key does not fit its algorithm")


def verify(response: dict[str, Any], passkey: Passkey, *, challenge: bytes, party: RelyingParty) -> Assertion:
    """A signature over a document's challenge. Raises Invalid for any other challenge, origin, key or a missing
    user verification; the evidence it returns can be checked offline without this node.
    """
    if response.get("id") != passkey.credential_id:
        raise Invalid("another device signed", code="signature.invalid")
    try:
        verified = verify_authentication_response(
            credential=response,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=passkey.public_key,
            credential_current_sign_count=passkey.sign_count,
            require_user_verification=True,
        )
    except _BROKEN as error:
        raise Invalid("the signature does not hold", code="signature.invalid", cause=str(error)) from None
    return Assertion(passkey.credential_id, verified.new_sign_count, _evidence(response, passkey))


def recheck(evidence: Mapping[str, Any], *, challenge: bytes) -> None:
    """Verify kept evidence anew, offline, by the key and origin it holds. Raises Invalid, KeyError, ValueError."""
    origin = json.loads(base64url_to_bytes(evidence["client_data_json"]))["origin"]
    passkey = Passkey(
        credential_id=evidence["credential_id"],
        signatory="",
        public_key=bytes.fromhex(evidence["cose_key"]),
        sign_count=0,
        aaguid=evidence["aaguid"],
        backed_up=False,
        created_ms=0,
    )
    inner = {
        "clientDataJSON": evidence["client_data_json"],
        "authenticatorData": evidence["authenticator_data"],
        "signature": evidence["signature"],
    }
    response = {"id": passkey.credential_id, "rawId": passkey.credential_id, "type": "public-key", "response": inner}
    verify(response, passkey, challenge=challenge, party=RelyingParty(urlsplit(origin).hostname or "", origin))


def _evidence(response: dict[str, Any], passkey: Passkey) -> str:
    # Written anew: the library's decoder overlooks foreign characters, which a strict offline reader would not.
    inner = {name: _respelled(response["response"][name]) for name in _SIGNED}
    kept = {
        "credential_id": passkey.credential_id,
        "client_data_json": inner["clientDataJSON"],
        "authenticator_data": inner["authenticatorData"],
        "signature": inner["signature"],
        "cose_key": passkey.public_key.hex(),
        "aaguid": passkey.aaguid,
    }
    return json.dumps(kept, sort_keys=True, separators=(",", ":"))


def _respelled(text: str) -> str:
    return bytes_to_base64url(base64url_to_bytes(text))
