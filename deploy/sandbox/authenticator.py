"""A software authenticator for sandboxes: P-256 keys in a file, the user always verified, a counter that moves on.

Makes what a platform authenticator makes (W3C Web Authentication Level 2 §6.1, §6.5, attestation "none"), so that the
node verifies it by the same code. It protects nothing: the keys lie in a file that only its owner may read.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cbor2
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

ES256 = -7
USER_PRESENT, USER_VERIFIED, ATTESTED = 0x01, 0x04, 0x40
AAGUID = b"xyd-sandbox-key\x00"


class AuthenticatorError(Exception):
    """The authenticator cannot do what is asked; the message says why."""


@dataclass
class Authenticator:
    """Keys by credential id. `path` is written after every use; None keeps everything in memory."""

    path: Path | None = None
    verified: bool = True
    keys: dict[str, dict[str, Any]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Authenticator:
        """Read the file, or begin a new one."""
        keys = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return cls(path, keys=keys)

    def has(self, credential: str) -> bool:
        """Whether a credential's key lies here."""
        return credential in self.keys

    def create(self, ceremony: dict[str, Any], origin: str) -> dict[str, Any]:
        """navigator.credentials.create: a new key for the relying party, as the browser would send it."""
        if ES256 not in ceremony["algorithms"]:
            raise AuthenticatorError("the relying party does not take ES256")
        key = ec.generate_private_key(ec.SECP256R1())
        identity = secrets.token_bytes(32)
        number = key.private_numbers().private_value
        self.keys[b64url(identity)] = {"rp": ceremony["rp"]["id"], "key": f"{number:064x}", "count": 0}
        self._save()
        public = key.public_key().public_numbers()
        x, y = public.x.to_bytes(32), public.y.to_bytes(32)
        cose = cbor2.dumps({1: 2, 3: ES256, -1: 1, -2: x, -3: y}, canonical=True)
        attested = AAGUID + len(identity).to_bytes(2) + identity + cose
        data = self._head(ceremony["rp"]["id"], 0, ATTESTED) + attested
        statement = cbor2.dumps({"fmt": "none", "attStmt": {}, "authData": data}, canonical=True)
        client = client_data("webauthn.create", ceremony["challenge"], origin)
        return credential(identity, {"clientDataJSON": b64url(client), "attestationObject": b64url(statement)})

    def get(self, ceremony: dict[str, Any], challenge: bytes, origin: str) -> dict[str, Any]:
        """navigator.credentials.get: a signature over the challenge. Raises AuthenticatorError for a key it lacks."""
        kept = self.keys.get(ceremony["credential"])
        if kept is None or kept["rp"] != ceremony["rp"]["id"]:
            raise AuthenticatorError("the credential is not on this device")
        kept["count"] += 1
        self._save()
        key = ec.derive_private_key(int(kept["key"], 16), ec.SECP256R1())
        data = self._head(kept["rp"], kept["count"], 0)
        client = client_data("webauthn.get", b64url(challenge), origin)
        signature = key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(hashes.SHA256()))
        response = {
            "clientDataJSON": b64url(client),
            "authenticatorData": b64url(data),
            "signature": b64url(signature),
            "userHandle": None,
        }
        return credential(unb64url(ceremony["credential"]), response)

    def _head(self, rp: str, count: int, flags: int) -> bytes:
        flags |= USER_PRESENT | (USER_VERIFIED if self.verified else 0)
        return hashlib.sha256(rp.encode()).digest() + bytes([flags]) + count.to_bytes(4)

    def _save(self) -> None:
        if self.path is not None:
            self.path.touch(mode=0o600)
            self.path.chmod(0o600)
            self.path.write_text(json.dumps(self.keys, indent=2) + "\n", encoding="utf-8")


def credential(identity: bytes, response: dict[str, Any]) -> dict[str, Any]:
    """A PublicKeyCredential as our page's script sends it."""
    return {"id": b64url(identity), "rawId": b64url(identity), "type": "public-key", "response": response}


def client_data(kind: str, challenge: str, origin: str) -> bytes:
    """The clientDataJSON a browser writes (§5.8.1)."""
    members = {"type": kind, "challenge": challenge, "origin": origin, "crossOrigin": False}
    return json.dumps(members, separators=(",", ":")).encode()


def b64url(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64url(text: str) -> bytes:
    """Back from base64url without padding."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
