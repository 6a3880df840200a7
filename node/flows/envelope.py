"""What leaves: the canonical `data` of an answer, and the receipt that goes with it. Pure.

Members are declared in sorted order and hold only strings, integers and booleans, so the encoder's bytes are the
canonical form (RFC 8785) and their SHA-256 is what the REL entry commits to.
"""

from __future__ import annotations

from binascii import b2a_base64
from hashlib import sha256

import msgspec

from adapters.errors import SourceFailure
from adapters.minimise import Fetched
from node.journal.act import Receipt

_ENCODE = msgspec.json.Encoder().encode


class ReadyLeg(msgspec.Struct, gc=False):
    """A department's answer, cut down to the permit."""

    as_of: str
    dataset: str
    fetched_at: str
    provenance: str
    quality: tuple[str, ...]
    records: msgspec.Raw
    schema: str
    source: str
    state: str


class FailedLeg(msgspec.Struct, gc=False):
    """A department that did not answer, or whose answer may not be used. Missing is a state, never a zero."""

    dataset: str
    reason: str
    retryable: bool
    source: str
    state: str


class Data(msgspec.Struct, gc=False):
    """The answer to a query."""

    grant_id: str
    legs: list[ReadyLeg | FailedLeg]
    purpose: str
    query_id: str
    status: str
    uscc: str


class _Opening(msgspec.Struct, gc=False):
    details: msgspec.Raw
    salt: str


class _Receipt(msgspec.Struct, gc=False):
    checkpoint: str
    index: int
    leaf: str
    log: str
    opening: _Opening
    path: list[str]
    size: int


def ready(fetched: Fetched, fetched_at: str) -> ReadyLeg:
    """A leg that answered (READY or NO_RECORD)."""
    return ReadyLeg(
        fetched.as_of,
        fetched.dataset,
        fetched_at,
        fetched.provenance,
        fetched.quality,
        msgspec.Raw(fetched.records),
        fetched.schema,
        fetched.source,
        fetched.state,
    )


def failed(dataset: str, source: str, failure: SourceFailure) -> FailedLeg:
    """A leg that did not."""
    return FailedLeg(dataset, failure.code, failure.retryable, source, failure.state)


def status_of(legs: list[ReadyLeg | FailedLeg]) -> str:
    """COMPLETE, PARTIAL or FAILED."""
    good = sum(type(leg) is ReadyLeg for leg in legs)
    return "COMPLETE" if good == len(legs) else "PARTIAL" if good else "FAILED"


def encode(data: msgspec.Struct) -> tuple[bytes, str]:
    """The canonical bytes of `data` and their SHA-256 in hex."""
    body = _ENCODE(data)
    return body, sha256(body).hexdigest()


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")


def receipt_json(receipt: Receipt) -> bytes:
    """The receipt as the bank gets it: leaf, inclusion path, signed checkpoint and the opening of the commitment."""
    return _ENCODE(
        _Receipt(
            receipt.checkpoint,
            receipt.index,
            _base64(receipt.leaf),
            receipt.origin,
            _Opening(msgspec.Raw(receipt.details), receipt.salt.hex()),
            [_base64(each) for each in receipt.path],
            receipt.size,
        )
    )


def answer(data: bytes, receipt: Receipt) -> bytes:
    """The response body: `{"data":…,"receipt":…}`, the data's bytes untouched."""
    return b'{"data":' + data + b',"receipt":' + receipt_json(receipt) + b"}"


def sha256_hex(data: bytes) -> str:
    """SHA-256 in hex of bytes about to leave."""
    return sha256(data).hexdigest()
