"""The error table: every refusal, failure and outage has one row; RFC 9457 everywhere but at the OAuth doors.

`code` → (HTTP status, title, fault domain, retryable). A code without a row is a bug and renders as 500.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from consent.errors import Refusal

CONTENT_TYPE = b"application/problem+json"
TYPE_PREFIX = "urn:xyd:problem:"


class Row(NamedTuple):
    """How a code is told to the other side."""

    status: int
    title: str
    fault_domain: str
    retryable: bool


TABLE: dict[str, Row] = {
    "request.invalid": Row(400, "The request is malformed", "caller", False),
    "request.unsupported": Row(400, "Not offered by this node", "caller", False),
    "request.too_large": Row(413, "The request is too large", "caller", False),
    "request.media": Row(415, "The content type is not application/json", "caller", False),
    "request.method": Row(405, "The method is not allowed here", "caller", False),
    "ground.unsupported": Row(403, "This legal ground is not served yet", "policy", False),
    "idempotency.key_missing": Row(400, "An Idempotency-Key is needed", "caller", False),
    "idempotency.in_progress": Row(409, "The same key is under way", "caller", True),
    "idempotency.body_mismatch": Row(422, "The key was used for another request", "caller", False),
    "token.invalid": Row(401, "The token or its proof is not accepted", "caller", False),
    "member.suspended": Row(403, "The institution is suspended", "caller", False),
    "consent.revoked": Row(403, "The consent was withdrawn", "consent", False),
    "consent.expired": Row(403, "The consent has expired", "consent", False),
    "consent.consumed": Row(403, "The consent is used up", "consent", False),
    "consent.not_yet": Row(403, "The consent is not in force yet", "consent", False),
    "consent.changed": Row(403, "The consent changed meanwhile", "consent", True),
    "consent.state_conflict": Row(409, "The consent is in another state", "consent", False),
    "consent.purpose": Row(403, "The consent was given for another purpose", "consent", False),
    "consent.scope": Row(403, "More than the consent covers", "consent", False),
    "resource.unknown": Row(404, "No such resource", "caller", False),
    "policy.limit_exceeded": Row(422, "Over the bound of the purpose", "policy", False),
    "quota.bank": Row(429, "Too many requests", "policy", True),
    "score.insufficient_data": Row(422, "Too little data to score", "source", False),
    "signature.invalid": Row(400, "The signature does not hold", "caller", False),
    "source.excess": Row(502, "A source's answer went beyond the permit and was dropped", "source", True),
    "audit.unavailable": Row(503, "The journal cannot record the query, so nothing is released", "audit", True),
    "state.unavailable": Row(503, "Freshness cannot be proven at present", "gateway", True),
    "store.unavailable": Row(503, "The node's database does not answer", "gateway", True),
    "node.overloaded": Row(503, "The node is overloaded", "gateway", True),
    "node.internal": Row(500, "An error inside the node", "gateway", True),
}
INTERNAL = TABLE["node.internal"]


class Problem(NamedTuple):
    """A rendered problem: status, body, extra headers."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...]


def render(
    code: str, detail: str, *, interaction_id: str, instance: str, extra: dict[str, object] | None = None
) -> Problem:
    """The problem document of a code. An unknown code renders as `node.internal` and says nothing more."""
    row = TABLE.get(code)
    if row is None:
        code, row, detail, extra = "node.internal", INTERNAL, "", None
    document: dict[str, object] = {
        "type": TYPE_PREFIX + code,
        "title": row.title,
        "status": row.status,
        "code": code,
        "fault_domain": row.fault_domain,
        "retryable": row.retryable,
        "instance": instance,
        "interaction_id": interaction_id,
    }
    if detail:
        document["detail"] = detail
    if extra:
        document["errors"] = [extra]
    headers: list[tuple[bytes, bytes]] = [(b"content-type", CONTENT_TYPE), (b"cache-control", b"no-store")]
    if row.status in (429, 503):
        headers.append((b"retry-after", b"1"))
        document["retry_after_ms"] = 1000
    return Problem(row.status, msgspec.json.encode(document), tuple(headers))


def of_refusal(refusal: Refusal, *, interaction_id: str, instance: str) -> Problem:
    """The problem document of a refusal."""
    return render(
        refusal.code, refusal.detail, interaction_id=interaction_id, instance=instance, extra=refusal.extra or None
    )
