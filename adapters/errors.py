"""Source failures: a department could not, or its answer may not be used.

    SourceFailure
    ├── Unreachable    no connection, connection broken before the answer was whole, 5xx     UNAVAILABLE   retry
    ├── TimedOut       the deadline of the leg passed                                        TIMEOUT       retry
    ├── Refused        the department answered that it will not (4xx, a redirect)            UNAVAILABLE   no
    ├── NotCollected   this node has no source for the dataset                               UNAVAILABLE   no
    ├── Malformed      not JSON, wrong type, required field missing, member named twice      INVALID_DATA  no
    ├── Oversize       more bytes or rows than the source may send                           INVALID_DATA  no
    └── WrongSubject   any part of the answer speaks of another enterprise or dataset        INVALID_DATA  no

Each is a state of one leg, never of the query, and never a zero. `detail` is safe to show; `cause` is for the
operator's log and holds places and kinds, never values.
"""

from __future__ import annotations

from typing import ClassVar, Literal

FailureState = Literal["TIMEOUT", "UNAVAILABLE", "INVALID_DATA"]


class SourceFailure(Exception):
    """A department could not. `code` and `state` are stable; `retryable` says whether asking again may help."""

    code: ClassVar[str]
    state: ClassVar[FailureState]
    retryable: ClassVar[bool]
    words: ClassVar[str]

    def __init__(self, *, cause: str = "") -> None:
        super().__init__(self.words)
        self.detail = self.words
        self.cause = cause


class Unreachable(SourceFailure):
    """No connection, a broken one, or the department says it is out of order."""

    code = "source.unavailable"
    state = "UNAVAILABLE"
    retryable = True
    words = "the department could not be reached"


class TimedOut(SourceFailure):
    """The deadline of the leg passed before the answer was whole."""

    code = "source.timeout"
    state = "TIMEOUT"
    retryable = True
    words = "the department did not answer in time"


class Refused(SourceFailure):
    """The department answered that it will not: our key, our question or its address is wrong."""

    code = "source.refused"
    state = "UNAVAILABLE"
    retryable = False
    words = "the department refused the request"


class NotCollected(SourceFailure):
    """No department of this node serves the dataset."""

    code = "source.not_collected"
    state = "UNAVAILABLE"
    retryable = False
    words = "this node has no source for the dataset"


class Malformed(SourceFailure):
    """The answer breaks the wire protocol or the catalogue."""

    code = "source.invalid_response"
    state = "INVALID_DATA"
    retryable = False
    words = "the department's answer was not valid"


class Oversize(SourceFailure):
    """More bytes or rows than this source may ever send."""

    code = "source.oversize"
    state = "INVALID_DATA"
    retryable = False
    words = "the department's answer was too large"


class WrongSubject(SourceFailure):
    """The answer speaks of another enterprise or dataset; the whole leg is void."""

    code = "source.wrong_subject"
    state = "INVALID_DATA"
    retryable = False
    words = "the department's answer was about something else"
