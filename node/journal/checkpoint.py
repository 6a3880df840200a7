"""Checkpoints: the signed head of the log (C2SP tlog-checkpoint), and inclusion proofs as text (C2SP tlog-proof).

The log's key name is its origin. No extension lines are written, and checkpoints that carry some are refused: nobody
audits them.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from node.journal.errors import NoteRefused
from node.journal.merkle import HASH_BYTES, MAX_PATH
from node.journal.note import Opened, Signer, Verifier, b64decode, b64encode, open_note

PROOF_HEAD = "c2sp.org/tlog-proof@v1"
MAX_SIZE = 2**63 - 1
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


class Checkpoint(NamedTuple):
    """Origin, number of leaves, root (32 bytes)."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The note text, final newline included."""
        return f"{self.origin}\n{self.size}\n{b64encode(self.root)}\n"


@dataclass(frozen=True, slots=True)
class Proof:
    """An inclusion proof as carried by a `.tlog-proof` file; nothing is verified. `extra` is not authenticated by
    anything.
    """

    index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes = b""


def sign_checkpoint(signer: Signer, size: int, root: bytes) -> str:
    """The signed note of the head (size, root) of the log whose origin is the signer's name."""
    text = f"{signer.name}\n{size}\n{b64encode(root)}\n"
    return f"{text}\n{signer.line(text)}"


def parse_checkpoint(text: str) -> Checkpoint:
    """The checkpoint a note's text holds. Raises NoteRefused on any other text."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not lines[0]:
        raise NoteRefused("a checkpoint has three lines: origin, size, root")
    root = b64decode(lines[2])
    if len(root) != HASH_BYTES:
        raise NoteRefused(f"a root of {len(root)} bytes instead of {HASH_BYTES}")
    return Checkpoint(lines[0], parse_decimal(lines[1]), root)


def open_checkpoint(note: bytes | str, log: Verifier, witnesses: Iterable[Verifier] = ()) -> tuple[Checkpoint, Opened]:
    """The checkpoint that the log signed, and who else did.

    The log's own signature must hold and the origin be its key name; of the witnesses, those present must hold.
    Whether they suffice is the caller's rule. Raises NoteRefused otherwise.
    """
    opened = open_note(note, (log, *witnesses))
    if log.vkey not in opened.by:
        raise NoteRefused("the log did not sign this checkpoint")
    checkpoint = parse_checkpoint(opened.text)
    if checkpoint.origin != log.name:
        raise NoteRefused("a checkpoint of another log")
    return checkpoint, opened


def write_proof(index: int, path: Sequence[bytes], note: str, extra: bytes = b"") -> str:
    """The text of a `.tlog-proof` file: index, path (leaf side first), then the checkpoint note verbatim."""
    head = [PROOF_HEAD, *([f"extra {b64encode(extra)}"] if extra else []), f"index {index}"]
    return "\n".join([*head, *map(b64encode, path), "", note])


def parse_proof(text: str) -> Proof:
    """The parts of a `.tlog-proof` file. Raises NoteRefused when malformed; verifies nothing."""
    head, blank, note = text.partition("\n\n")
    lines = head.split("\n")
    if not blank or lines.pop(0) != PROOF_HEAD:
        raise NoteRefused("not a transparency log proof")
    extra = b64decode(lines.pop(0)[6:]) if lines and lines[0].startswith("extra ") else b""
    if not lines or not lines[0].startswith("index "):
        raise NoteRefused("the proof names no index")
    path = tuple(b64decode(line) for line in lines[1:])
    if len(path) > MAX_PATH or any(len(value) != HASH_BYTES for value in path):
        raise NoteRefused("the proof's path is malformed")
    return Proof(parse_decimal(lines[0][6:]), path, note, extra)


def parse_decimal(text: str) -> int:
    """A number 0 .. 2**63 - 1 in ASCII decimal without leading zeros. Raises NoteRefused otherwise."""
    if not _DECIMAL.fullmatch(text) or int(text) > MAX_SIZE:
        raise NoteRefused("not a decimal number")
    return int(text)
