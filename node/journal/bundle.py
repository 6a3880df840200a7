"""The evidence bundle: one zip that proves a log offline, in exactly one byte form.

Members: `checkpoint` and `tile/...` as a server serves them, `policy` (C2SP tlog-policy), `manifest` (canonical JSON
with the SHA-256 of every other member) and `manifest.sig` (a note by the log's key over the manifest's SHA-256). A
reader takes the members out, makes the zip anew and refuses the file unless every byte agrees, so nothing can hide
between, before or behind the members.
"""

import io
import struct
import zipfile
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

import msgspec

from consent.canonical import canonical
from node.journal.checkpoint import Checkpoint, open_checkpoint
from node.journal.errors import BundleRefused, Unproven
from node.journal.note import Signer, Verifier, open_note
from node.journal.report import Report
from node.journal.tiles import addresses
from node.journal.verify import Reader, Trust, verify_log

MAX_FILE_BYTES = 1 << 30
"""A month of 1.7 million entries is 0.56 GB; a bundle is read into memory."""
MAX_POLICY_BYTES = 4096
_LEAST_ENTRY_BYTES = 34
"""A length prefix and a leaf hash: bounds how many members a stated size can make us expect."""
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")
_LOCAL_MAGIC = b"PK\x03\x04"
_EPOCH = (1980, 1, 1, 0, 0, 0)
_SIGNED = frozenset({"manifest", "manifest.sig"})


class About(NamedTuple):
    """Who made a bundle: the node's id and the version of its catalogue."""

    node: str
    catalogue: str


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    """The manifest's members; its digests are compared by writing it anew."""

    v: int
    origin: str
    size: int
    node: str
    catalogue: str
    members: dict[str, str]


_MANIFEST = msgspec.json.Decoder(_Manifest)


class Bundle(NamedTuple):
    """A bundle whose file, manifest, manifest signature and checkpoint signature hold; the log in it is not yet
    verified.
    """

    members: Mapping[str, bytes]
    checkpoint: Checkpoint
    trust: Trust


def policy_text(vkey: str) -> str:
    """The tlog-policy of a log that no witness is required for."""
    return f"log {vkey}\nquorum none\n"


def policy_vkey(policy: bytes) -> str:
    """The log key of a policy as `policy_text` writes it. Raises BundleRefused on any other."""
    words = policy[:MAX_POLICY_BYTES].decode("utf-8", "replace").split()
    if len(words) != 4 or policy_text(words[1]).encode() != policy:
        raise BundleRefused("not a policy of one log and no quorum")
    return words[1]


def write_bundle(read: Reader, signer: Signer, about: About) -> bytes:
    """The bundle of the log behind `read`, signed by the log's key.

    Raises BundleRefused when a member is missing, NoteRefused when the checkpoint is not this signer's.
    """
    note = _member(read, "checkpoint")
    head, _ = open_checkpoint(note, Verifier(signer.vkey))
    members = {"checkpoint": note, "policy": policy_text(signer.vkey).encode()}
    members |= {address.path: _member(read, address.path) for address in addresses(head.size)}
    members["manifest"] = _manifest(members, head, about)
    members["manifest.sig"] = signer.note(_manifest_text(members["manifest"])).encode()
    return make_zip(members)


def read_bundle(data: bytes, vkey: str | None = None, *, max_bytes: int = MAX_FILE_BYTES) -> Bundle:
    """Take a bundle apart: 1 the file is the canonical zip of its members; 2 the manifest's signature, by the pinned
    key or else the policy's; 3 the manifest's digests, origin and size; 4 the checkpoint's signature; 5 the members
    are exactly those of a log of that size. Raises BundleRefused; the log itself is then verified by `verify_bundle`.
    """
    if len(data) > max_bytes:
        raise BundleRefused("the file is too large")
    members = _split(data)
    if make_zip(members) != data:
        raise BundleRefused("the file is not the canonical form of its members")
    try:
        return _checked(members, vkey)
    except BundleRefused:
        raise
    except Unproven as cause:
        raise BundleRefused(str(cause)) from cause


def verify_bundle(data: bytes, vkey: str | None = None) -> Report:
    """Step `file`, then every step of `verify.verify_log` on what the bundle holds."""
    try:
        bundle = read_bundle(data, vkey)
    except BundleRefused as refused:
        report = Report()
        report.note("file", False, zh=f"证据包不成立：{refused}", en=f"the bundle does not hold: {refused}")
        report.skip("checkpoint", "entries", "root", "tiles", "leaves", "laws")
        return report
    report = Report()
    count = len(bundle.members)
    report.note("file", True, zh=f"证据包完整，{count} 个成员", en=f"the bundle is whole: {count} members")
    return verify_log(bundle.members.get, bundle.trust, report=report)


def make_zip(members: Mapping[str, bytes]) -> bytes:
    """The one zip of these members: stored, sorted by name, dated 1980-01-01, no attributes but 0644."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, _EPOCH)
            info.create_system, info.external_attr = 3, 0o100644 << 16
            archive.writestr(info, members[name])
    return buffer.getvalue()


def _checked(members: dict[str, bytes], vkey: str | None) -> Bundle:
    read = members.get
    trust = Trust(vkey, "pinned") if vkey else Trust(policy_vkey(_member(read, "policy")), "bundle")
    log = Verifier(trust.vkey)
    manifest = _member(read, "manifest")
    if open_note(_member(read, "manifest.sig"), [log]).text != _manifest_text(manifest):
        raise BundleRefused("the manifest is not the signed one")
    head, _ = open_checkpoint(_member(read, "checkpoint"), log)
    if policy_vkey(_member(read, "policy")) != trust.vkey:
        raise BundleRefused("the policy names another log key")
    if head.size * _LEAST_ENTRY_BYTES > sum(map(len, members.values())):
        raise BundleRefused("the file is too small for a log of this size")
    wanted = {address.path for address in addresses(head.size)}
    if set(members) != wanted | {"checkpoint", "policy"} | _SIGNED:
        raise BundleRefused("members are missing, or do not belong to a log of this size")
    _check_manifest(manifest, members, head)
    return Bundle(members, head, trust)


def _check_manifest(manifest: bytes, members: Mapping[str, bytes], head: Checkpoint) -> None:
    """The manifest is what we would write for these members, whoever wrote it."""
    try:
        stated = _MANIFEST.decode(manifest)
    except (msgspec.DecodeError, RecursionError) as cause:
        raise BundleRefused("the manifest is malformed") from cause
    rest = {name: data for name, data in members.items() if name not in _SIGNED}
    if _manifest(rest, head, About(stated.node, stated.catalogue)) != manifest:
        raise BundleRefused("a member is not the one in the manifest")


def _manifest(members: Mapping[str, bytes], head: Checkpoint, about: About) -> bytes:
    return canonical(
        {
            "v": 1,
            "origin": head.origin,
            "size": head.size,
            "node": about.node,
            "catalogue": about.catalogue,
            "members": {name: sha256(data).hexdigest() for name, data in members.items()},
        }
    )


def _manifest_text(manifest: bytes) -> str:
    """Two lines, so that it can never be read as a checkpoint, which has three."""
    return f"xyd evidence manifest v1\nsha256 {sha256(manifest).hexdigest()}\n"


def _member(read: Reader, name: str) -> bytes:
    data = read(name)
    if data is None:
        raise BundleRefused(f"there is no {name}")
    return data


def _split(data: bytes) -> dict[str, bytes]:
    """The members of a stored zip, by its local headers alone; what else the file says is settled by making it anew."""
    members: dict[str, bytes] = {}
    at = 0
    while data[at : at + 4] == _LOCAL_MAGIC and at + _LOCAL_HEADER.size <= len(data):
        size, name_bytes = _LOCAL_HEADER.unpack_from(data, at)[8:10]
        start = at + _LOCAL_HEADER.size + name_bytes
        name = data[at + _LOCAL_HEADER.size : start].decode("ascii", "replace")
        at = start + size
        if name in members or not name or at > len(data):
            raise BundleRefused("a member stands twice or is cut short")
        members[name] = data[start:at]
    return members
