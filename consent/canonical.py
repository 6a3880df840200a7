"""One byte form of a value: RFC 8785 (JCS), restricted to what needs no float.

Everything that is hashed or signed passes through here. Floats are refused: RFC 8785's number form for them
is the part where implementations disagree, and no law of this house needs one.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

MAX_SAFE_INTEGER = 2**53 - 1
"""RFC 8785 §3.2.2.3: integers beyond are not interoperable, so they are refused."""

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=False, allow_nan=False)


def canonical(value: Any) -> bytes:
    """The canonical bytes of a JSON value made of dict, list, tuple, str, int, bool and None.

    Raises TypeError for any other type (floats included) and ValueError for integers beyond ±(2^53-1)
    or strings with lone surrogates. Members are sorted by UTF-16 code units (RFC 8785 §3.2.3).
    """
    return _ENCODER.encode(_checked(value)).encode("utf-8")


def _checked(value: Any) -> Any:
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, int):
        if not -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER:
            raise ValueError("integer beyond the interoperable range")
        return value
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise TypeError("member names must be strings")
        ordered = sorted(value.items(), key=lambda item: item[0].encode("utf-16-be", "surrogatepass"))
        return {key: _checked(item) for key, item in ordered}
    if isinstance(value, (list, tuple)):
        return [_checked(item) for item in value]
    raise TypeError(f"{type(value).__name__} has no canonical form")


def digest(value: Any) -> str:
    """SHA-256 of the canonical bytes, 64 lower-case hex digits."""
    return hashlib.sha256(canonical(value)).hexdigest()


def tagged_digest(tag: str, data: bytes) -> bytes:
    """SHA-256 over `tag LF data`: a domain tag keeps one kind of signed bytes from standing in for another."""
    return hashlib.sha256(tag.encode("ascii") + b"\n" + data).digest()
