"""A software authenticator for tests: makes passkeys and signs as a phone would, or wrongly on request.

W3C Web Authentication Level 2 §6.1 (authenticator data), §6.5.4 ("none" attestation), §5.8.1 (client data). Nothing
of it is shared with the code under test; CBOR by the `cbor2` package, signatures by `cryptography`.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

PARTY_ID = "phone.example"
ORIGIN = "https://phone.example"
PRESENT, VERIFIED, ELIGIBLE, BACKED_UP, ATTESTED = 0x01, 0x04, 0x08, 0x10, 0x40
AAGUID = bytes.fromhex("00112233445566778899aabbccddeeff")


def b64url(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Device:
    """One authenticator with one ES256 key. `count` is the signature counter it last used."""

    credential: bytes = b"credential-of-test-device"
    count: int = 0
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def id(self) -> str:
        """The credential id as the browser names it."""
        return b64url(self.credential)

    def cose_key(self) -> dict[int, Any]:
        """The public key as COSE (RFC 9053 §7.1.1): EC2, ES256, P-256."""
        point = self.key.public_key().public_numbers()
        return {1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32), -3: point.y.to_bytes(32)}

    def create(
        self,
        challenge: bytes,
        *,
        origin: str = ORIGIN,
        party: str = PARTY_ID,
        flags: int = PRESENT | VERIFIED,
        kind: str = "webauthn.create",
        cose: Any = None,
        attested_id: bytes | None = None,
    ) -> dict[str, Any]:
        """A registration as `navigator.credentials.create` gives it."""
        named = self.credential if attested_id is None else attested_id
        public = cbor2.dumps(self.cose_key() if cose is None else cose)
        attested = AAGUID + len(named).to_bytes(2) + named + public
        data = authenticator_data(party, flags | ATTESTED, self.count) + attested
        response = {
            "clientDataJSON": b64url(client_data(kind, challenge, origin)),
            "attestationObject": b64url(cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data})),
            "transports": ["internal"],
        }
        return {"id": self.id, "rawId": self.id, "type": "public-key", "response": response}

    def get(
        self,
        challenge: bytes,
        *,
        origin: str = ORIGIN,
        party: str = PARTY_ID,
        flags: int = PRESENT | VERIFIED,
        kind: str = "webauthn.get",
        count: int | None = None,
    ) -> dict[str, Any]:
        """An assertion as `navigator.credentials.get` gives it."""
        self.count = self.count + 1 if count is None else count
        data = authenticator_data(party, flags, self.count)
        client = client_data(kind, challenge, origin)
        signed = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": b64url(client),
            "authenticatorData": b64url(data),
            "signature": b64url(signed),
            "userHandle": None,
        }
        return {"id": self.id, "rawId": self.id, "type": "public-key", "response": response}


def authenticator_data(party: str, flags: int, count: int) -> bytes:
    """Hash of the relying party's id, flags, counter."""
    return hashlib.sha256(party.encode()).digest() + bytes([flags]) + count.to_bytes(4)


def client_data(kind: str, challenge: bytes, origin: str) -> bytes:
    """What the browser says it was asked."""
    told = {"type": kind, "challenge": b64url(challenge), "origin": origin, "crossOrigin": False}
    return json.dumps(told, separators=(",", ":")).encode()
