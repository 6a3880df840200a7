"""Refusals: the law says no.

    Refusal
    ├── Invalid            the request itself is malformed                      (caller)
    ├── Unauthenticated    nobody, or not who they say                          (caller)
    ├── Suspended          a known bank that may not act at present             (caller)
    ├── NotGranted         no live grant covers it; the only answer a stranger gets
    ├── GrantEnded         the grant was revoked, expired, paused or used up    (consent)
    ├── OverBound          more than the purpose template allows                (policy)
    ├── Conflict           the same thing is already under way or done          (caller)
    └── Unsupported        lawful in principle, not offered by this node        (gateway)

A refusal carries a stable `code`, a safe `detail` for the other side and a private `cause` for the operator.
No HTTP status lives here: `node/routes/problems.py` renders.
"""

from __future__ import annotations

from typing import Any


class Refusal(Exception):
    """The law says no.

    `code` is stable and machine-readable; `detail` is safe to show (no personal data, no echo of input);
    `cause` goes to the operator's log only; `extra` holds members for the problem document (limit, max, asked).
    """

    code = "refused"

    def __init__(
        self, detail: str = "", *, code: str | None = None, cause: str = "", extra: dict[str, Any] | None = None
    ) -> None:
        super().__init__(detail or self.code)
        if code is not None:
            self.code = code
        self.detail = detail
        self.cause = cause
        self.extra = extra or {}


class Invalid(Refusal):
    """The request is malformed."""

    code = "request.invalid"


class Unauthenticated(Refusal):
    """Nobody, or not who they say."""

    code = "token.invalid"


class ProofNotAccepted(Unauthenticated):
    """The proof of possession is missing its mark; the token may be well."""


class Suspended(Refusal):
    """A known bank that may not act at present."""

    code = "member.suspended"


class NotGranted(Refusal):
    """No live grant covers it. Unknown firm, foreign firm and no consent all answer with exactly this."""

    code = "resource.unknown"


class GrantEnded(Refusal):
    """The grant existed for this bank and is over: `consent.revoked|expired|consumed|not_yet|changed`."""

    code = "consent.revoked"


class OverBound(Refusal):
    """More than the purpose template, the catalogue or the grant allows; `extra` names limit, max, asked."""

    code = "policy.limit_exceeded"


class Conflict(Refusal):
    """The same thing is already under way, done, or done differently."""

    code = "consent.state_conflict"


class Unsupported(Refusal):
    """Lawful in principle, not offered by this node."""

    code = "request.unsupported"
