"""DPoP proofs (RFC 9449 §4.3): who holds the key, for this method, this address, this token, now.

The gateway's hot path. A client's header segment never changes, so the key behind it is imported once and kept by that
segment; signatures are checked by joserfc's algorithm on that key. `tests/consent/oauth/test_dpop_peers.py` holds this
against joserfc's whole deserialisation and against requests_oauth2client.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
from joserfc.jwk import Key
from joserfc.util import urlsafe_b64decode

from consent.oauth.errors import InvalidProof
from consent.oauth.jose import Malformed, decode_header, import_public, verifier
from consent.oauth.onetime import PROOF_PREFIX, Replay

MAX_PROOF: Final = 8192
MAX_AGE_S: Final = 60
"""Seconds a proof stays good. Short, because the replay memory holds every proof that long."""
AHEAD_S: Final = 30
"""Seconds a client's clock may run ahead: 10 must be accepted, more than 60 refused (FAPI 2.0 §5.3.2.1)."""
_KEYS_KEPT: Final = 2048
"""Header segments of up to 4 KB each: at most about 12 MB, whoever sends them."""
_DEFAULT_PORT: Final = {"https": 443, "http": 80}
_PERCENT = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class _Claims(msgspec.Struct):
    jti: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    htm: str
    htu: Annotated[str, msgspec.Meta(max_length=2048)]
    iat: int | float
    ath: str | None = None
    exp: int | float | None = None
    nbf: int | float | None = None


_decode: Final = msgspec.json.Decoder(_Claims).decode


@dataclass(frozen=True, slots=True)
class ProofKey:
    """What a header segment says: the joserfc key, how to check with it, and the key's thumbprint (RFC 7638)."""

    jkt: str
    key: Key
    check: Callable[[bytes, bytes, Key], bool]


@dataclass(frozen=True, slots=True)
class Proof:
    """A verified proof: the key's thumbprint and what the flow must claim so that it is used once."""

    jkt: str
    jti: str
    issued_ms: int
    expires_ms: int

    @property
    def replay(self) -> Replay:
        """The replay key: one `jti` per key, whatever the address (stricter than RFC 9449 §11.1)."""
        return Replay(f"{PROOF_PREFIX}{self.jkt}:{self.jti}", self.issued_ms, self.expires_ms)


def verify(proof: str, *, htm: str, htu: str, now_s: float, ath: str | None = None) -> Proof:
    """Check a proof in the order that costs least (RFC 9449 §4.3). Raises InvalidProof.

    `htm` is the request's method, `htu` its address built from the issuer, `ath` the hash of the access token where one
    is presented. Key, type and algorithm come from the header (kept), then the claims are compared, then the signature.
    That there is one header only is `only`; the replay key of the answer is claimed by the flow.
    """
    signed, dot, signature = proof.rpartition(".")
    head, _, body = signed.partition(".")
    if len(proof) > MAX_PROOF or not (head and body and dot) or "." in body:
        raise InvalidProof("the DPoP proof is not a compact JWS")
    held = _held(head)
    try:
        claims = _decode(urlsafe_b64decode(body.encode("ascii")))
        raw_signature = urlsafe_b64decode(signature.encode("ascii"))
    except (ValueError, RecursionError):
        raise InvalidProof("the DPoP proof lacks jti, htm, htu or iat, or is not well-formed") from None
    if claims.htm != htm:
        raise InvalidProof("the DPoP proof was made for another method")
    if claims.htu != htu and (normal(claims.htu) is None or normal(claims.htu) != normal(htu)):
        raise InvalidProof("the DPoP proof was made for another address")
    if ath is not None and claims.ath != ath:
        raise InvalidProof("the DPoP proof was made for another access token")
    iat = claims.iat
    if not now_s - MAX_AGE_S <= iat <= now_s + AHEAD_S:
        raise InvalidProof("the DPoP proof is too old or from the future")
    if (claims.exp is not None and claims.exp < now_s - AHEAD_S) or (claims.nbf or 0) > now_s + AHEAD_S:
        raise InvalidProof("the DPoP proof is outside its own term")
    if not held.check(signed.encode("ascii"), raw_signature, held.key):
        raise InvalidProof("the signature of the DPoP proof does not hold")
    issued_ms = int(iat * 1000)
    return Proof(held.jkt, claims.jti, issued_ms, issued_ms + (MAX_AGE_S + 1) * 1000)


def only(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The one DPoP header, name in any case; None without one. Raises InvalidProof when there are two (§4.3 item 1)."""
    found = [value for name, value in headers if name.lower() == b"dpop"]
    if len(found) > 1:
        raise InvalidProof("more than one DPoP header")
    if not found:
        return None
    try:
        return found[0].decode("ascii")
    except UnicodeDecodeError:
        raise InvalidProof("the DPoP proof is not a compact JWS") from None


@lru_cache(maxsize=_KEYS_KEPT)
def _held(segment: str) -> ProofKey:
    """The key of a header segment; a refused header raises and is not kept."""
    try:
        header = decode_header(segment)
        if header.get("typ") != "dpop+jwt":
            raise Malformed("the DPoP proof must have typ dpop+jwt")
        public = import_public(header.get("jwk"))
        if not public.fits(header["alg"]):
            raise Malformed("the algorithm does not fit the key of the proof")
    except Malformed as error:
        raise InvalidProof(str(error)) from None
    return ProofKey(public.key.thumbprint(), public.key, verifier(header["alg"]))


@lru_cache(maxsize=_KEYS_KEPT)
def normal(url: str) -> str | None:
    """An http(s) URL without query and fragment, normalised (RFC 3986 §6.2.2, §6.2.3); None for anything else."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or parts.scheme not in _DEFAULT_PORT or "@" in parts.netloc or not url.isascii():
        return None
    named = f"[{host}]" if ":" in host else host
    suffix = "" if port is None or port == _DEFAULT_PORT[parts.scheme] else f":{port}"
    return f"{parts.scheme}://{named}{suffix}{_PERCENT.sub(_percent, parts.path) or '/'}"


def _percent(match: re.Match[str]) -> str:
    char = chr(int(match[1], 16))
    return char if char in _UNRESERVED else f"%{match[1].upper()}"
