"""Why the phone shows an error page instead of what was asked. No status code lives here.

PhoneFailure
├── SignInNeeded      nobody is signed in, or the session ended
├── NotYours          there is no such thing, or it is another enterprise's: the same answer
├── Forged            a form without its token, or from another origin
├── TooMany           too many attempts
├── RequestUnknown    a request_uri that is unknown, expired or another bank's
├── RequestDecided    a request that has its decision already
├── StateChanged      the grant changed between page and button
└── ShelfDown         Valkey does not answer: nothing is accepted
"""

from __future__ import annotations

from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from node.errors import StoreUnavailable

OUTAGES: Final = (StoreUnavailable, SQLAlchemyError)
"""What a database that does not answer raises: the page says so, and that nothing was changed."""


class PhoneFailure(Exception):
    """`code` names the words on the page (`problem.<code>`); `cause` is for the operator's log only."""

    code = "failed"

    def __init__(self, cause: str = "") -> None:
        super().__init__(cause or self.code)
        self.cause = cause


class SignInNeeded(PhoneFailure):
    """Nobody is signed in, or the session ended."""

    code = "sign_in"


class NotYours(PhoneFailure):
    """There is no such thing here, or it belongs to an enterprise the signatory has no live mandate for."""

    code = "not_found"


class Forged(PhoneFailure):
    """A form without its token, or sent from another origin."""

    code = "forged"


class TooMany(PhoneFailure):
    """Too many attempts in a while."""

    code = "too_many"


class RequestUnknown(PhoneFailure):
    """An authorization request that is unknown, expired or another bank's."""

    code = "request_unknown"


class RequestDecided(PhoneFailure):
    """An authorization request that was decided, or is being decided right now."""

    code = "decided"


class StateChanged(PhoneFailure):
    """The grant is no longer as the page showed it."""

    code = "changed"


class ShelfDown(PhoneFailure):
    """The short-lived store does not answer."""

    code = "store_down"
