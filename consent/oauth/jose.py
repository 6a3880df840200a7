"""JOSE for everybody here: one registry, one key import, one choice of keys. All verification is joserfc's.

joserfc's own defaults do not fit FAPI 2.0: 512-byte headers refuse every RSA proof, unknown header members are refused,
HS256 and RS256 are allowed. RFC 7515, RFC 7517, RFC 7518, RFC 8037, RFC 8725, RFC 9864.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.util import urlsafe_b64decode

SIGNING: Final = ("ES256", "PS256", "EdDSA", "Ed25519")
"""`alg` values accepted in a header; EdDSA is the older name of Ed25519 (RFC 9864)."""

MAX_HEADER: Final = 4096
MAX_TOKEN: Final = 16_384
"""Bytes of a whole JWS. A PS256 proof with its key is about 1.2 KB."""
MAX_KEYS: Final = 16
RSA_BITS: Final = (2048, 4096)
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_NEEDS: Final[Mapping[str, tuple[str, str]]] = {
    "ES256": ("EC", "P-256"),
    "PS256": ("RSA", ""),
    "EdDSA": ("OKP", "Ed25519"),
    "Ed25519": ("OKP", "Ed25519"),
}
_BROKEN: Final = (JoseError, UnsupportedAlgorithm, ValueError, TypeError, KeyError, RecursionError)


class Malformed(ValueError):
    """Not a JWS or JWK that this house takes; the message is ours and safe to show."""


class _Registry(JWSRegistry):
    max_header_length = MAX_HEADER
    max_payload_length = MAX_TOKEN

    def get_alg(self, name: str) -> Any:
        """The algorithm of an allowed name, without the deprecation warning EdDSA would raise on each use."""
        if name not in SIGNING:
            raise Malformed("the signing algorithm must be ES256, PS256 or Ed25519")
        return self.algorithms[name]


REGISTRY: Final = _Registry(algorithms=SIGNING, strict_check_header=False)


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key with what its owner declared about it."""

    kid: str | None
    kty: str
    crv: str
    alg: str | None
    use: str | None
    key: Key

    def fits(self, alg: str) -> bool:
        """May a signature of this `alg` be checked with this key? (RFC 8725 §3.1: algorithm bound to the key.)"""
        declared = {"EdDSA": "Ed25519"}.get(self.alg or "", self.alg)
        wanted = {"EdDSA": "Ed25519"}.get(alg, alg)
        return (self.kty, self.crv) == _NEEDS.get(alg) and self.use in (None, "sig") and declared in (None, wanted)


def header_of(token: str) -> dict[str, Any]:
    """The protected header of a compact JWS, unverified. Raises Malformed, also for any `crit`: none is understood."""
    if len(token) > MAX_TOKEN or not token.isascii() or token.count(".") != 2:
        raise Malformed("not a compact JWS")
    return decode_header(token.partition(".")[0])


def decode_header(segment: str) -> dict[str, Any]:
    """The header of its base64url segment. Raises Malformed."""
    if len(segment) > MAX_HEADER:
        raise Malformed("the JWS header is too large")
    header = decode_json(segment)
    if not isinstance(header, dict) or header.get("alg") not in SIGNING:
        raise Malformed("the signing algorithm must be ES256, PS256 or Ed25519")
    if "crit" in header or "b64" in header:
        raise Malformed("no critical header is understood")
    return header


def decode_json(segment: str) -> Any:
    """The JSON value of a base64url segment without padding. Raises Malformed."""
    try:
        return msgspec.json.decode(urlsafe_b64decode(segment.encode("ascii")))
    except (ValueError, RecursionError):
        raise Malformed("a JWS part is not base64url JSON") from None


def import_public(jwk: Any) -> PublicKey:
    """A public key of its JWK. Raises Malformed for private or symmetric material, unknown kinds and weak keys."""
    if not isinstance(jwk, dict):
        raise Malformed("a key must be a JWK object")
    if _PRIVATE & jwk.keys() or jwk.get("kty") == "oct":
        raise Malformed("a private or symmetric key was sent")
    crv = jwk.get("crv", "")
    try:
        match jwk.get("kty"), crv:
            case "EC", "P-256":
                key: Key = ECKey.import_key(_only(jwk, "kty", "crv", "x", "y"))
            case "OKP", "Ed25519":
                key = OKPKey.import_key(_only(jwk, "kty", "crv", "x"))
            case "RSA", "":
                _check_strength(_only(jwk, "n", "e"))
                key = RSAKey.import_key(_only(jwk, "kty", "n", "e"))
            case _:
                raise Malformed("a key must be P-256, Ed25519 or RSA")
    except Malformed:
        raise
    except _BROKEN:
        raise Malformed("the key is not a valid JWK") from None
    return PublicKey(_text(jwk, "kid"), jwk["kty"], crv, _text(jwk, "alg"), _text(jwk, "use"), key)


def _only(jwk: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The members that make the key; what else was declared is judged here, not by the importer."""
    if not all(isinstance(jwk.get(name), str) for name in names):
        raise Malformed("the key is not a valid JWK")
    return {name: jwk[name] for name in names}


def _text(jwk: Mapping[str, Any], name: str) -> str | None:
    value = jwk.get(name)
    if value is not None and not isinstance(value, str):
        raise Malformed("the key is not a valid JWK")
    return value


def _check_strength(rsa: Mapping[str, str]) -> None:
    """2048 to 4096 bits and a short exponent: below is weak, above is a way to burn our time."""
    n, e = (int.from_bytes(urlsafe_b64decode(rsa[name].encode("ascii"))) for name in ("n", "e"))
    smallest, largest = RSA_BITS
    if not smallest <= n.bit_length() <= largest or e.bit_length() > 32:
        raise Malformed("an RSA key must have 2048 to 4096 bits")


@lru_cache(maxsize=1024)
def key_ring(jwks: str) -> tuple[PublicKey, ...]:
    """The usable public keys of a JWK Set's text, parsed once. Decoys (unknown kinds, broken entries) are passed over.

    Raises Malformed when the text is no JWK Set, has more than 16 keys or none that can be used.
    """
    try:
        value = msgspec.json.decode(jwks)
    except (ValueError, RecursionError):
        raise Malformed("not a JWK Set") from None
    entries = value.get("keys") if isinstance(value, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_KEYS:
        raise Malformed("not a JWK Set of at most 16 keys")
    found: list[PublicKey] = []
    for entry in entries:
        try:
            found.append(import_public(entry))
        except Malformed:
            continue
    if not found:
        raise Malformed("the JWK Set has no key that can be used")
    return tuple(found)


def candidates(ring: tuple[PublicKey, ...], header: Mapping[str, Any]) -> tuple[PublicKey, ...]:
    """The keys that may have signed: fitting the algorithm and bearing the `kid`, if named. Doubles are all tried."""
    kid = header.get("kid")
    return tuple(each for each in ring if each.fits(header["alg"]) and (kid is None or each.kid == kid))


def verify_jws(token: str, ring: tuple[PublicKey, ...]) -> bytes:
    """The payload of a compact JWS signed by one of the keys. Raises Malformed."""
    header = header_of(token)
    for each in candidates(ring, header):
        try:
            return jws.deserialize_compact(token, each.key, registry=REGISTRY).payload
        except _BROKEN:
            continue
    raise Malformed("no registered key verifies the signature")


def verifier(alg: str) -> Callable[[bytes, bytes, Key], bool]:
    """joserfc's check of (signing input, signature, key) for an allowed algorithm."""
    check: Callable[[bytes, bytes, Key], bool] = REGISTRY.get_alg(alg).verify
    return check
