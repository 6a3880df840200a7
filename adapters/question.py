"""A question's head in bytes, for `adapters.pooled`. Nothing that is put into it can begin a line of its own."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import urlsplit

from adapters.transport import JSON, Call, Endpoint

_ADDRESS = re.compile(r"[!-?A-~]+")  # visible, and nobody's name and password before an @
_KEY = re.compile(r"[ -~]*")
_PATH = re.compile(r"/[!-~]*")
_WORD = re.compile(r"[!-~]*")


class Address(NamedTuple):
    """Where to connect, and the lines that every question there has in common."""

    secure: bool
    host: str
    port: int
    lines: bytes


def address(endpoint: Endpoint) -> Address:
    """Raises ValueError, which never holds the key."""
    parts = urlsplit(endpoint.base_url)
    if parts.scheme not in ("http", "https") or not parts.hostname or not _ADDRESS.fullmatch(parts.netloc):
        raise ValueError("a department's address is a scheme, a host and a port")
    if not _KEY.fullmatch(endpoint.key):
        raise ValueError("a department's key is one line of ASCII")
    secure = parts.scheme == "https"
    lines = f"Host: {parts.netloc}\r\nX-Api-Key: {endpoint.key}\r\nContent-Type: {JSON}\r\n"
    lines += f"Accept: {JSON}\r\nAccept-Encoding: identity\r\n"
    return Address(secure, parts.hostname, parts.port or (443 if secure else 80), lines.encode("ascii"))


def words(call: Call) -> tuple[bytes, bytes]:
    """The path and the permit's id. Raises ValueError unless each is one word of visible ASCII."""
    if not (_PATH.fullmatch(call.path) and _WORD.fullmatch(call.permit_id)):
        raise ValueError("a path and a permit's id are words of visible ASCII")
    return call.path.encode("ascii"), call.permit_id.encode("ascii")
