"""Sealing: AES-256-GCM for what lies in our own stores. Key id and row identity are associated data.

A sealed value is `version(1) || nonce(12) || ciphertext || tag(16)`; the version byte names the algorithm, so another
suite can stand beside this one without a change of format. NIST SP 800-38D: 96-bit random nonces, one key per subject,
so no key comes near the 2^32 message bound.
"""

from __future__ import annotations

import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

A256GCM = b"\x01"
KEY_BYTES = 32
_NONCE_BYTES = 12


class SealBroken(ValueError):
    """The sealed bytes were changed, cut, or belong to another row or key."""


class Sealer:
    """Seals and opens under one 32-byte key. The cipher object is made once (about 2 µs a message after that)."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError("a sealing key has 32 bytes")
        self._cipher = AESGCM(key)

    def seal(self, plain: bytes, identity: bytes) -> bytes:
        """Encrypt; `identity` names the row the bytes belong to and is authenticated, not stored."""
        nonce = os.urandom(_NONCE_BYTES)
        return A256GCM + nonce + self._cipher.encrypt(nonce, plain, identity)

    def open(self, sealed: bytes, identity: bytes) -> bytes:
        """Decrypt. Raises SealBroken."""
        if sealed[:1] != A256GCM:
            raise SealBroken("unknown sealing version")
        try:
            return self._cipher.decrypt(sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :], identity)
        except (InvalidTag, ValueError):
            raise SealBroken("the seal does not hold") from None


def new_key() -> bytes:
    """A fresh random 32-byte key."""
    return os.urandom(KEY_BYTES)
