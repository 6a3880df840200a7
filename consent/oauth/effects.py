"""Effects: what a decision asks the flow to do. Plain frozen values; nothing here touches a store.

Claims come first (replay keys, code), then the journal with its rows in one transaction, then the reply.
"""

from __future__ import annotations

from dataclasses import dataclass

from consent.evidence import Evidence, Kind
from consent.grant import Terms
from consent.oauth.bank import BankView
from consent.oauth.code import AuthCode
from consent.oauth.dpop import Proof
from consent.oauth.errors import InvalidGrantError, Reply
from consent.oauth.onetime import Replay
from consent.oauth.pushed import Pushed
from consent.oauth.token import AccessToken, TokenView


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Who asks, the key it proved (None without a DPoP header), and what has to be claimed before anything else."""

    client: BankView
    proof: Proof | None
    replays: tuple[Replay, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the flow found for the values in the form; None where nothing was found."""

    code: AuthCode | None = None
    token: TokenView | None = None
    grant: Terms | None = None


@dataclass(frozen=True, slots=True)
class Pushing:
    """Store `pushed` at `key` until it expires, then answer."""

    key: str
    pushed: Pushed
    reply: Reply


@dataclass(frozen=True, slots=True)
class Visited:
    """A pushed request that may be shown or decided now; `key` is where it is stored."""

    key: str
    pushed: Pushed
    client: BankView


@dataclass(frozen=True, slots=True)
class Refused:
    """Consume `pushed_key`, send the browser to `location` with 303."""

    pushed_key: str
    location: str


@dataclass(frozen=True, slots=True)
class Approval:
    """Store `code` at `code_key`, consume `pushed_key`, send the browser to `location` with 303."""

    code_key: str
    code: AuthCode
    pushed_key: str
    location: str


@dataclass(frozen=True, slots=True)
class EndTokens:
    """End every token of a grant at once; `evidence` is of kind STOP."""

    grant_id: str
    why: str
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Issue:
    """Claim `code_key` (None at a refresh), insert the rows with their evidence (kind TOKEN), answer."""

    tokens: tuple[AccessToken, ...]
    code_key: str | None
    evidence: Evidence
    reply: Reply


@dataclass(frozen=True, slots=True)
class Revocation:
    """What a revocation ends, if anything, and the answer, which is the same in every case."""

    ends: EndTokens | None
    reply: Reply


class CodeReplayed(InvalidGrantError):  # type: ignore[misc]
    """A code came a second time: the answer is invalid_grant, and the grant's tokens end (RFC 6749 §4.1.2)."""

    def __init__(self, ends: EndTokens) -> None:
        super().__init__("the authorization code does not hold")
        self.ends = ends


def end_tokens(grant: Terms, why: str) -> EndTokens:
    """The end of all tokens of a grant, and its evidence."""
    evidence = Evidence(Kind.STOP, grant.client_id, grant.enterprise, {"grant": grant.id, "why": why})
    return EndTokens(grant.id, why, evidence)
