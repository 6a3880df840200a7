"""The offline check of a consent receipt: is the document the one that was signed, and the one the log names?

Steps: `document` the text is the canonical form of the document, its SHA-256 stands in the GRANT leaf; `consent` the
passkey's signature is over the challenge of exactly these bytes, with the user verified.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Any

from consent import signing
from consent.canonical import canonical
from consent.document import challenge, challenge_text, check_code
from consent.errors import Invalid
from node.journal.leaf import Grant
from node.journal.report import Report

MEMBERS = frozenset(
    {
        "type",
        "document",
        "document_text",
        "document_sha256",
        "check_code",
        "challenge",
        "signature",
        "assurance",
        "receipt",
    }
)


def is_consent(whole: object) -> bool:
    """Whether a file is a consent receipt, and not an answer or a bare receipt."""
    return isinstance(whole, dict) and "document" in whole


def check_consent(report: Report, whole: dict[str, Any]) -> None:
    """Add the steps `document` and `consent` to a report that has checked the receipt."""
    try:
        data = canonical(whole["document"])
        digest = sha256(data).hexdigest()
        names = ("document_text", "document_sha256", "check_code", "challenge")
        wanted = [data.decode(), digest, check_code(data), challenge_text(data)]
        same = [whole[name] for name in names] == wanted and set(whole) == MEMBERS
        leaf = report.leaf
        named = isinstance(leaf, Grant) and (leaf.doc, leaf.asr) == (digest, whole["assurance"])
    except (KeyError, TypeError, ValueError, AttributeError):
        same = named = False
        data = b""
    report.note(
        "document",
        same and named,
        zh="授权书与存证中的摘要一致" if same and named else "授权书与存证不符：内容已被改动",
        en="the document is the one the log names" if same and named else "the document is not the one the log names",
    )
    held = same and named and _signed(whole.get("signature"), data)
    report.note(
        "consent",
        held,
        zh="口令钥匙的签名针对这份授权书" if held else "签名不针对这份授权书，或缺失",
        en="the passkey signed this very document"
        if held
        else "the signature is not over this document, or is missing",
    )


def _signed(evidence: Any, data: bytes) -> bool:
    """The kept assertion holds, by the key and origin it names itself; whose key that is, only the node's word says."""
    try:
        signing.recheck(evidence, challenge=challenge(data))
    except (Invalid, KeyError, TypeError, ValueError, AttributeError):
        return False
    return True
