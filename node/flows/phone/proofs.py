"""One entry, proven: opened details, leaf, the way up to the checkpoint's root, and the evidence to take home."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consent.canonical import canonical
from consent.enterprise import CreditCode
from node.flows.phone.timeline import Line, Timelines
from node.journal.act import JournalUnavailable, Receipt
from node.journal.checkpoint import parse_checkpoint
from node.journal.errors import LeafRefused, ProofRefused, TileRefused
from node.journal.leaf import check_opening
from node.journal.merkle import leaf_hash, verify_inclusion
from node.journal.reading import Openings, Proofs
from node.journal.tables import Entry


@dataclass(frozen=True, slots=True)
class Step:
    """One level of the way up: the sibling's hash (8 hex digits) and whether it stands at the right."""

    sibling: str
    right: bool


@dataclass(frozen=True, slots=True)
class Proven:
    """The page of one entry. `checks` are (name, holds) as computed here; `proof` is what the browser needs."""

    entry: Line
    size: int
    root: str
    steps: tuple[Step, ...]
    checks: tuple[tuple[str, bool], ...]
    proof: Mapping[str, Any]
    details: str
    erased: bool
    leaf: str
    leaf_hash: str
    checkpoint: str


@dataclass(frozen=True, slots=True)
class Proving:
    """See the module."""

    timelines: Timelines
    openings: Openings
    proofs: Proofs

    async def page(self, enterprise: CreditCode, year: int, index: int) -> Proven:
        """An entry of this enterprise with its proof. Raises NotYours, JournalUnavailable."""
        entry = await self.timelines.entry(enterprise, year, index)
        (shown,) = await self.timelines.lines([entry])
        details = await self.openings.open(entry)
        return proven(entry, shown, await self.prove(entry), details)

    async def evidence(self, enterprise: CreditCode, year: int, index: int) -> dict[str, Any]:
        """The receipt of an entry, in the shape a bank gets with an answer; the offline verifier reads it."""
        entry = await self.timelines.entry(enterprise, year, index)
        return receipt_json(await self.prove(entry), await self.openings.open(entry))

    async def prove(self, entry: Entry) -> Receipt:
        """The inclusion proof under the newest checkpoint. Raises JournalUnavailable while there is none."""
        try:
            return await self.proofs.prove(entry)
        except TileRefused as error:
            raise JournalUnavailable(str(error)) from error


def root_of(note: str) -> bytes:
    """The root a checkpoint states; its signature is for the offline verifier, which has the key from elsewhere."""
    return parse_checkpoint(note.partition("\n\n")[0] + "\n").root


def proven(entry: Entry, shown: Line, receipt: Receipt, details: Mapping[str, Any]) -> Proven:
    """The page's content, everything computed again from the stored leaf."""
    root = root_of(receipt.checkpoint)
    opened = canonical(dict(details))
    # no details at all may mean that there never were any, which the commitment tells, or that their key is gone
    erased = not details and not opens(entry, receipt, opened)
    return Proven(
        entry=shown,
        size=receipt.size,
        root=root.hex(),
        steps=steps(receipt),
        checks=checks(entry, receipt, root, None if erased else opened),
        proof={
            "leaf": _b64(receipt.leaf),
            "index": receipt.index,
            "size": receipt.size,
            "path": [_b64(each) for each in receipt.path],
            "root": _b64(root),
            "salt": _b64(entry.salt),
            "details": "" if erased else _b64(opened),
        },
        details=json.dumps(dict(details), ensure_ascii=False, indent=2, sort_keys=True) if details else "",
        erased=erased,
        leaf=json.dumps(json.loads(receipt.leaf), ensure_ascii=False, indent=2),
        leaf_hash=entry.leaf_hash.hex(),
        checkpoint=receipt.checkpoint,
    )


def opens(entry: Entry, receipt: Receipt, opened: bytes) -> bool:
    """Whether salt and details open the commitment in the leaf."""
    try:
        check_opening(json.loads(receipt.leaf)["d"], entry.salt, opened)
    except LeafRefused:
        return False
    return True


def checks(entry: Entry, receipt: Receipt, root: bytes, opened: bytes | None) -> tuple[tuple[str, bool], ...]:
    """What holds: the leaf gives its hash, the path leads to the root, the details open the commitment."""
    found = [("leaf", leaf_hash(receipt.leaf) == entry.leaf_hash)]
    try:
        verify_inclusion(leaf_hash(receipt.leaf), receipt.index, receipt.size, receipt.path, root=root)
        found.append(("path", True))
    except ProofRefused:
        found.append(("path", False))
    if opened is not None:
        found.append(("opening", opens(entry, receipt, opened)))
    return tuple(found)


def steps(receipt: Receipt) -> tuple[Step, ...]:
    """On which side each hash of the path stands (RFC 9162 §2.1.3.2)."""
    node, last = receipt.index, receipt.size - 1
    found: list[Step] = []
    for each in receipt.path:
        left = bool(node & 1) or node == last
        found.append(Step(each.hex()[:8], not left))
        while left and not node & 1 and node:
            node, last = node >> 1, last >> 1
        node, last = node >> 1, last >> 1
    return tuple(found)


def receipt_json(receipt: Receipt, details: Mapping[str, Any]) -> dict[str, Any]:
    """A receipt as JSON, as the bank's API hands it out."""
    return {
        "log": receipt.origin,
        "index": receipt.index,
        "size": receipt.size,
        "leaf": _b64(receipt.leaf),
        "path": path_json(receipt.path),
        "checkpoint": receipt.checkpoint,
        "opening": {"salt": receipt.salt.hex(), "details": dict(details)},
    }


def path_json(path: Sequence[bytes]) -> list[str]:
    """Hashes of a proof, leaf side first, in base64."""
    return [_b64(each) for each in path]


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode()
