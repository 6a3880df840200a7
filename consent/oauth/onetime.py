"""A value that is accepted once: the replay memory's keys, as plain values.

The decision names what has to be claimed; the flow claims it with one atomic set-if-absent that outlives every leeway,
so that two processes cannot both win (no get-then-set).
"""

from __future__ import annotations

from dataclasses import dataclass

from consent.oauth.errors import InvalidClientError, InvalidProof, OAuth2Error

ASSERTION_PREFIX = "assertion:"
PROOF_PREFIX = "dpop:"


@dataclass(frozen=True, slots=True)
class Replay:
    """Claim `key` until `expires_ms`. `issued_ms` is when it was made, by the client's clock.

    A flow whose replay memory began at an instant refuses what was made before it, give or take the clients' skew. An
    assertion without `iat` counts as made as early as its `exp` allows.
    """

    key: str
    issued_ms: int
    expires_ms: int


def replayed(replay: Replay) -> OAuth2Error:
    """The error of a key that was claimed before."""
    if replay.key.startswith(ASSERTION_PREFIX):
        return InvalidClientError(description="the client assertion was used before")
    return InvalidProof("the DPoP proof was used before")
