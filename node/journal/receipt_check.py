"""A bank's or an enterprise's check of one receipt, offline: is this answer in the log, and is it this answer?

Steps: 1 `shape` the receipt has exactly its members; 2 `checkpoint` the log's signature, and the receipt's own log
and size agree with it; 3 `inclusion` the leaf stands at its index under the signed root; 4 `leaf` it is a canonical
leaf; 5 `opening` salt and details open its commitment; 6 `data` the digest in the details is that of the data
received.
"""

import json
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from consent.canonical import canonical
from node.journal.consent_check import check_consent, is_consent
from node.journal.errors import LeafRefused, NoteRefused, ProofRefused, Unproven
from node.journal.leaf import DATA_DIGEST, check_opening, parse
from node.journal.merkle import leaf_hash, verify_inclusion
from node.journal.note import b64decode
from node.journal.report import Report
from node.journal.verify import Trust, check_checkpoint

MEMBERS = frozenset({"log", "index", "size", "leaf", "path", "checkpoint", "opening"})
MAX_RECEIPT_BYTES = 64 * 1024 * 1024
"""The largest answer read back, data included."""


@dataclass(frozen=True, slots=True)
class _Receipt:
    """The receipt's parts, decoded, nothing verified."""

    log: str
    index: int
    size: int
    leaf: bytes
    path: list[bytes]
    checkpoint: str
    salt: bytes
    details: dict[str, Any]


def verify_receipt(answer: bytes | str, vkey: str) -> Report:
    """Check an answer `{"data": …, "receipt": {…}}` (or a bare receipt, then `data` is not checked) against the log's
    key.
    """
    report = Report()
    try:
        whole = _load(answer)
        receipt = _decode(whole.get("receipt", whole))
    except (Unproven, TypeError, ValueError, KeyError) as cause:
        report.note("shape", False, zh=f"回执格式不符：{cause}", en=f"not a receipt: {cause}")
        report.skip("checkpoint", "inclusion", "leaf", "opening", "data")
        return report
    report.note("shape", True, zh="回执格式相符", en="the receipt has its members")
    check_checkpoint(report, receipt.checkpoint, Trust(vkey, "pinned"))
    head = report.checkpoint
    if head is None:
        report.skip("inclusion", "leaf", "opening", "data")
        return report
    _check_inclusion(report, receipt, (head.origin, head.size, head.root))
    _check_leaf(report, receipt)
    _check_data(report, receipt, whole)
    return report


def _check_inclusion(report: Report, receipt: _Receipt, head: tuple[str, int, bytes]) -> None:
    origin, size, root = head
    try:
        if (receipt.log, receipt.size) != (origin, size):
            raise ProofRefused("the receipt and its checkpoint name different trees")
        verify_inclusion(leaf_hash(receipt.leaf), receipt.index, size, receipt.path, root=root)
    except ProofRefused as refused:
        report.note("inclusion", False, zh=f"不在日志中：{refused}", en=f"not in the log: {refused}")
        return
    report.note("inclusion", True, zh=f"是日志第 {receipt.index} 条", en=f"stands in the log at index {receipt.index}")


def _check_leaf(report: Report, receipt: _Receipt) -> None:
    try:
        leaf = parse(receipt.leaf)
    except LeafRefused as refused:
        report.note("leaf", False, zh=f"不是规范条目：{refused}", en=f"not a canonical leaf: {refused}")
        report.skip("opening")
        return
    report.leaf = leaf
    report.note("leaf", True, zh="是规范条目", en="a canonical leaf")
    try:
        check_opening(leaf.d, receipt.salt, canonical(receipt.details))
    except (LeafRefused, TypeError, ValueError) as refused:
        report.note(
            "opening", False, zh=f"明细与承诺不符：{refused}", en=f"the details do not open the leaf: {refused}"
        )
        return
    report.note("opening", True, zh="明细与承诺相符", en="the details open the leaf's commitment")


def _check_data(report: Report, receipt: _Receipt, whole: dict[str, Any]) -> None:
    if is_consent(whole):
        check_consent(report, whole)
        return
    if "receipt" not in whole or "data" not in whole:
        report.note("data", None, zh="未检查：没有随附数据", en="not checked: no data came with the receipt")
        return
    try:
        digest = sha256(canonical(whole["data"])).hexdigest()
    except (TypeError, ValueError, RecursionError) as cause:
        report.note("data", False, zh=f"数据没有规范形式：{cause}", en=f"the data has no canonical form: {cause}")
        return
    same = receipt.details.get(DATA_DIGEST) == digest
    report.note(
        "data",
        same,
        zh="数据与存证摘要一致" if same else "数据与存证摘要不一致",
        en="the data is what the log says was released" if same else "the data is not what the log says was released",
    )


def _load(answer: bytes | str) -> dict[str, Any]:
    if len(answer) > MAX_RECEIPT_BYTES:
        raise ProofRefused("the answer is too long")
    try:
        whole = json.loads(answer, object_pairs_hook=_no_twins)
    except RecursionError as cause:
        raise ProofRefused("nested too deeply") from cause
    if not isinstance(whole, dict):
        raise ProofRefused("not an object")
    return whole


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A member named twice means different things to different readers."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ProofRefused("a member stands twice")
    return members


def _decode(receipt: Any) -> _Receipt:
    if not isinstance(receipt, dict) or set(receipt) != MEMBERS:
        raise ProofRefused("members are missing or unknown")
    opening = receipt["opening"]
    if not isinstance(opening, dict) or set(opening) != {"salt", "details"} or not isinstance(opening["details"], dict):
        raise ProofRefused("the opening has a salt and details")
    if type(receipt["index"]) is not int or type(receipt["size"]) is not int or not isinstance(receipt["path"], list):
        raise ProofRefused("index and size are integers, path is a list")
    texts = (receipt["log"], receipt["leaf"], receipt["checkpoint"], opening["salt"], *receipt["path"])
    if not all(isinstance(text, str) for text in texts):
        raise NoteRefused("the other members are strings")
    return _Receipt(
        log=receipt["log"],
        index=receipt["index"],
        size=receipt["size"],
        leaf=b64decode(receipt["leaf"]),
        path=[b64decode(text) for text in receipt["path"]],
        checkpoint=receipt["checkpoint"],
        salt=bytes.fromhex(opening["salt"]),
        details=opening["details"],
    )
