"""Signed notes: keys, signing, opening (C2SP signed-note, tlog-cosignature).

Ed25519 only: 0x01 plain note signatures, 0x04 timestamped witness cosignatures. A `Signer` or `Verifier` is made once
and used often. Base64 is strict: only the canonical padded form is accepted.
"""

import binascii
import unicodedata
from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from node.journal.errors import NoteRefused

ED25519 = 0x01
COSIGNATURE = 0x04
MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100
_EMDASH = "\u2014"
_SKEY_HEAD = "PRIVATE+KEY+"


class Signature(NamedTuple):
    """One signature line: key name, 4-byte key id, signature bytes."""

    name: str
    key_id: bytes
    data: bytes


class Note(NamedTuple):
    """A note taken apart, nothing verified: the text with its final newline, and the lines in order."""

    text: str
    signatures: tuple[Signature, ...]


class Opened(NamedTuple):
    """A note of which at least one known key's signature holds; `by` names the keys, `times` the cosignatures'
    seconds.
    """

    text: str
    by: tuple[str, ...]
    times: dict[str, int]


class Verifier:
    """A known key. `vkey` is its text form; `kind` 0x01 (notes) or 0x04 (cosignatures)."""

    def __init__(self, vkey: str) -> None:
        """Raises NoteRefused when the line is malformed, its key id wrong or its key type unknown."""
        parts = vkey.split("+", 2)
        if len(parts) != 3:
            raise NoteRefused("a verifier key has the form name+id+key")
        self.vkey, self.name = vkey, _demand_name(parts[0])
        data = b64decode(parts[2])
        if len(data) != 33 or data[0] not in (ED25519, COSIGNATURE):
            raise NoteRefused("not an Ed25519 verifier key")
        self.kind = data[0]
        self.key_id = key_id(self.name, data)
        if self.key_id.hex() != parts[1]:
            raise NoteRefused("the key id does not belong to this key")
        self._key = Ed25519PublicKey.from_public_bytes(data[1:])

    def verify(self, text: str, signature: bytes) -> int:
        """The cosignature's time in seconds since the epoch, 0 for a plain signature. Raises NoteRefused when it does
        not hold.
        """
        seconds, message = 0, text.encode()
        if self.kind == COSIGNATURE:
            if len(signature) != 72:
                raise NoteRefused("a cosignature has 72 bytes")
            seconds = int.from_bytes(signature[:8])
            message = cosigned(text, seconds)
            signature = signature[8:]
        try:
            self._key.verify(signature, message)
        except InvalidSignature as cause:
            raise NoteRefused(f"the signature of {self.name} does not hold") from cause
        return seconds


class Signer:
    """A private key that signs notes as `name`; `kind` 0x01 for a log, 0x04 for a witness."""

    def __init__(self, name: str, seed: bytes, kind: int = ED25519) -> None:
        """`seed` is the 32-byte Ed25519 private key. Raises NoteRefused on a bad name or kind."""
        if kind not in (ED25519, COSIGNATURE):
            raise NoteRefused("not an Ed25519 key type")
        if len(seed) != 32:
            raise NoteRefused("an Ed25519 seed has 32 bytes")
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        public = bytes([kind]) + self._key.public_key().public_bytes_raw()
        self.name, self.kind, self._seed = _demand_name(name), kind, seed
        self.key_id = key_id(name, public)
        self.vkey = f"{name}+{self.key_id.hex()}+{b64encode(public)}"
        self._line_head = f"{_EMDASH} {name} "

    @classmethod
    def from_skey(cls, skey: str) -> "Signer":
        """The signer of `PRIVATE+KEY+name+id+key`. Raises NoteRefused when malformed; the message never shows the
        key.
        """
        parts = skey.removeprefix(_SKEY_HEAD).split("+", 2)
        if not skey.startswith(_SKEY_HEAD) or len(parts) != 3:
            raise NoteRefused("a signer key has the form PRIVATE+KEY+name+id+key")
        data = b64decode(parts[2])
        if len(data) != 33:
            raise NoteRefused("not an Ed25519 signer key")
        signer = cls(parts[0], data[1:], data[0])
        if signer.key_id.hex() != parts[1]:
            raise NoteRefused("the key id does not belong to this key")
        return signer

    def skey(self) -> str:
        """The secret in text form, for the key file only."""
        return f"{_SKEY_HEAD}{self.name}+{self.key_id.hex()}+{b64encode(bytes([self.kind]) + self._seed)}"

    def __repr__(self) -> str:
        """The public half; the seed never shows."""
        return f"Signer({self.vkey})"

    def line(self, text: str, seconds: int = 0) -> str:
        """The signature line over a note's text (which ends in a newline); `seconds` is used by cosignatures only."""
        if self.kind == COSIGNATURE:
            signature = seconds.to_bytes(8) + self._key.sign(cosigned(text, seconds))
        else:
            signature = self._key.sign(text.encode())
        return f"{self._line_head}{b64encode(self.key_id + signature)}\n"

    def note(self, text: str) -> str:
        """The whole note with this one signature. Raises NoteRefused when the text could not be read back."""
        if not text.endswith("\n") or _has_control(text):
            raise NoteRefused("a note's text ends in a newline and has no control characters")
        return f"{text}\n{self.line(text)}"


def key_id(name: str, typed_key: bytes) -> bytes:
    """First 4 bytes of SHA-256(name || LF || type || public key)."""
    return sha256(name.encode() + b"\n" + typed_key).digest()[:4]


def cosigned(text: str, seconds: int) -> bytes:
    """What a witness signs (C2SP tlog-cosignature, cosignature/v1)."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def parse_note(data: bytes | str) -> Note:
    """A note taken apart; nothing is verified. Raises NoteRefused on any malformed part."""
    raw = data.encode() if isinstance(data, str) else data
    if len(raw) > MAX_NOTE_BYTES:
        raise NoteRefused("the note is too long")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError as cause:
        raise NoteRefused("the note is not UTF-8") from cause
    text, blank, lines = whole.rpartition("\n\n")
    if not blank or not lines.endswith("\n") or _has_control(whole):
        raise NoteRefused("not a signed note: text, blank line, signature lines")
    signatures = tuple(_parse_line(line) for line in lines[:-1].split("\n"))
    if len(signatures) > MAX_SIGNATURES:
        raise NoteRefused("too many signatures")
    return Note(text + "\n", signatures)


def open_note(data: bytes | str, verifiers: Iterable[Verifier]) -> Opened:
    """The text of a note that at least one of `verifiers` signed.

    Signatures of unknown keys are ignored. Raises NoteRefused when the note is malformed, a known key's signature
    does not hold or stands there twice, or no known key signed.
    """
    note = parse_note(data)
    known = {(verifier.name, verifier.key_id): verifier for verifier in verifiers}
    times: dict[str, int] = {}
    by: list[str] = []
    for name, identity, signature in note.signatures:
        verifier = known.get((name, identity))
        if verifier is None:
            continue
        if verifier.vkey in by:
            raise NoteRefused(f"{name} signed twice")
        seconds = verifier.verify(note.text, signature)
        by.append(verifier.vkey)
        if verifier.kind == COSIGNATURE:
            times[verifier.vkey] = seconds
    if not by:
        raise NoteRefused("no known key signed this note")
    return Opened(note.text, tuple(by), times)


def b64encode(data: bytes) -> str:
    """Canonical base64 (RFC 4648 §4)."""
    return binascii.b2a_base64(data, newline=False).decode("ascii")


def b64decode(text: str) -> bytes:
    """The bytes of canonical base64. Raises NoteRefused on any other spelling of them."""
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except (binascii.Error, ValueError) as cause:
        raise NoteRefused("not base64") from cause
    if b64encode(data) != text:
        raise NoteRefused("base64 in another than its canonical form")
    return data


def _parse_line(line: str) -> Signature:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != _EMDASH:
        raise NoteRefused("a malformed signature line")
    data = b64decode(parts[2])
    if len(data) < 5:
        raise NoteRefused("a signature line without a signature")
    return Signature(_demand_name(parts[1]), data[:4], data[4:])


def _demand_name(name: str) -> str:
    if not name or "+" in name or any(unicodedata.category(c)[0] in "ZC" for c in name):
        raise NoteRefused("a key name is not empty and has neither blanks nor a plus")
    return name


def _has_control(text: str) -> bool:
    return any(c < " " and c != "\n" for c in text)
