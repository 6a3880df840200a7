"""The journal's leaves: closed kinds, one byte form, and the salted commitment to what is not in them.

A leaf is canonical JSON (sorted members, no blanks) over integers, strings and lists of strings, ASCII without
backslash, so RFC 8785 and any other sorted-key writer agree on its bytes. It names nobody: `sub` is a random
pseudonym and `d` commits to the details kept beside the tree (reference/audit.md §3.5). Kinds and members are closed;
members may only be added with a new `v`. Times are integer milliseconds since the epoch.
"""

import hmac
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct

from node.journal.errors import LeafRefused

VERSION = 1
SALT_BYTES = 32
MAX_LEAF_BYTES = 65_535
"""The entry bundle's length prefix is a uint16 (C2SP tlog-tiles)."""
DATA_DIGEST = "data_sha256"
"""Member of a REL or ASSESS entry's details: SHA-256, lower-case hex, of the exact bytes released."""

_MAX_MS = 2**53 - 1
Millis = Annotated[int, Meta(ge=0, le=_MAX_MS)]
Count = Annotated[int, Meta(ge=0, le=_MAX_MS)]
Version = Annotated[int, Meta(ge=1, le=_MAX_MS)]
Word = Annotated[str, Meta(max_length=512)]
Name = Annotated[str, Meta(min_length=1, max_length=512)]
Pseudonym = Annotated[str, Meta(pattern=r"\A([0-9a-f]{32})?\Z")]
Digest = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]
Ordinal = Annotated[str, Meta(pattern=r"\A(0|[1-9][0-9]{0,15})?\Z")]
_MONTH = r"[0-9]{4}-(0[1-9]|1[0-2])"
ITEM_PATTERN = rf"\A[a-z0-9_]+\.[a-z0-9_]+:(read|model|verify):{_MONTH}/{_MONTH}:[1-9a-f][0-9a-f]{{0,63}}\Z"
Item = Annotated[str, Meta(pattern=ITEM_PATTERN)]
"""`dataset:form:from/to:mask`; the mask is hexadecimal without leading zeros, bit 0 = first field of the catalogue."""
Items = Annotated[list[Item], Meta(min_length=1, max_length=512)]

Member = int | str | Sequence[str]


class Head(NamedTuple):
    """The members every leaf has: instant, bank or "node", pseudonym or "", its counter or 0, commitment."""

    ts: int
    org: str
    sub: str
    seq: int
    d: str


class Leaf(Struct, frozen=True, tag_field="kind", forbid_unknown_fields=True, kw_only=True):
    """What all kinds have in common; `kind` is the tag."""

    v: Literal[1]
    ts: Millis
    org: Name
    sub: Pseudonym
    seq: Count
    d: Digest


class Open(Leaf, frozen=True, tag="OPEN"):
    """The log begins: node id, catalogue version, last checkpoint of the previous log or ""."""

    node: Name
    catalogue: Name
    prev: Word


class Bank(Leaf, frozen=True, tag="BANK"):
    """A bank was enrolled, re-keyed, suspended or readmitted (`act`)."""

    act: Name


class Passkey(Leaf, frozen=True, tag="PASSKEY"):
    """A signatory's passkey was added or removed (`act`)."""

    act: Name


class Grant(Leaf, frozen=True, tag="GRANT"):
    """An enterprise gave a grant, or a new version of one: [nb, na) in ms, at most `max` requests."""

    grant: Name
    ver: Version
    purpose: Name
    tpl: Name
    items: Items
    nb: Millis
    na: Millis
    max: Count
    doc: Name
    asr: Word


class Reject(Leaf, frozen=True, tag="REJECT"):
    """An enterprise said no."""

    purpose: Name
    why: Word


class Token(Leaf, frozen=True, tag="TOKEN"):
    """An access token was issued under a grant; `exp` in ms."""

    grant: Name
    ver: Version
    exp: Millis


class Stop(Leaf, frozen=True, tag="STOP"):
    """The tokens of a grant were ended; the grant itself stands."""

    grant: Name
    why: Word


class Revoke(Leaf, frozen=True, tag="REVOKE"):
    """A grant ended for good."""

    grant: Name
    ver: Version
    by: Name
    why: Word


class Request(Leaf, frozen=True, tag="REQ"):
    """A query was admitted; written before any source is asked."""

    req: Name
    grant: Name
    ver: Version
    purpose: Name
    items: Items
    ground: Name


class Release(Leaf, frozen=True, tag="REL"):
    """Data leave: `n` records of the items that were ready; `retry_of` is "" or the index of the request's first
    release.
    """

    req: Name
    grant: Name
    ver: Version
    purpose: Name
    items: Annotated[list[Item], Meta(max_length=512)]
    n: Count
    retry_of: Ordinal


class Assess(Leaf, frozen=True, tag="ASSESS"):
    """A score leaves, made by `card` from the items."""

    req: Name
    grant: Name
    ver: Version
    purpose: Name
    items: Annotated[list[Item], Meta(max_length=512)]
    card: Name


class Deny(Leaf, frozen=True, tag="DENY"):
    """A known bank was refused; `req` and `grant` may be "" when the refusal came before there was one."""

    req: Word
    why: Name
    grant: Word


class Abort(Leaf, frozen=True, tag="ABORT"):
    """A request ended without a release."""

    req: Name
    why: Name


AnyLeaf = Open | Bank | Passkey | Grant | Reject | Token | Stop | Revoke | Request | Release | Assess | Deny | Abort

_ENCODE = msgspec.json.Encoder(order="sorted").encode
_DECODER: msgspec.json.Decoder[AnyLeaf] = msgspec.json.Decoder(AnyLeaf)
_HEAD_MEMBERS = 7


def encode(kind: str, head: Head, members: Mapping[str, Member]) -> bytes:
    """The canonical bytes of a leaf, checked against its kind's schema. `kind` is the tag (`consent.evidence.Kind`
    fits).

    Raises LeafRefused on an unknown kind, an unknown, missing or shadowed member, a wrong type or form, or a leaf too
    long.
    """
    ts, org, sub, seq, d = head
    whole = {**members, "v": VERSION, "kind": kind, "ts": ts, "org": org, "sub": sub, "seq": seq, "d": d}
    if len(whole) != len(members) + _HEAD_MEMBERS:
        raise LeafRefused("a member has the name of one every leaf has")
    try:
        data = _ENCODE(whole)
    except (TypeError, UnicodeEncodeError) as cause:
        raise LeafRefused(str(cause)) from cause
    _read(data)
    return data


def parse(data: bytes) -> AnyLeaf:
    """The leaf whose canonical bytes are `data`. Raises LeafRefused on anything else."""
    leaf = _read(data)
    if _ENCODE(leaf) != data:
        raise LeafRefused("the leaf is not in canonical form")
    return leaf


def _read(data: bytes) -> AnyLeaf:
    """A leaf of the right shape; only `parse` also proves the byte form."""
    if len(data) > MAX_LEAF_BYTES:
        raise LeafRefused(f"a leaf of {len(data)} bytes; at most {MAX_LEAF_BYTES}")
    if not data.isascii() or b"\\" in data or b"\x7f" in data:
        raise LeafRefused("a leaf is printable ASCII without escapes")
    try:
        return _DECODER.decode(data)
    except (msgspec.DecodeError, RecursionError) as cause:
        raise LeafRefused(f"not a leaf: {cause}") from cause


def kind_of(leaf: AnyLeaf) -> str:
    """The leaf's kind as written in its bytes."""
    return str(leaf.__struct_config__.tag)


def commitment(salt: bytes, details: bytes) -> str:
    """SHA-256(salt || details) in hex: what `d` holds. `salt` is 32 random bytes, `details` canonical JSON.

    Raises LeafRefused when the salt is not 32 bytes: a shorter one would let details slide into it.
    """
    if len(salt) != SALT_BYTES:
        raise LeafRefused(f"a salt of {len(salt)} bytes instead of {SALT_BYTES}")
    return sha256(salt + details).hexdigest()


def check_opening(d: str, salt: bytes, details: bytes) -> None:
    """Return quietly when (salt, details) open the commitment `d`; else raise LeafRefused."""
    if not hmac.compare_digest(commitment(salt, details).encode(), d.encode()):
        raise LeafRefused("the opening does not match the commitment")
