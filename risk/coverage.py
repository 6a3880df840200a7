"""What there was to look at: the state of every dataset a card names.

A missing source is a state, never a zero (design law 5). A required dataset that is not usable ends in Unscorable;
an optional one only shows here, and the score does not move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from consent.period import Month, Period
from risk.errors import Lack
from risk.scorecard import Scorecard


class SourceState(StrEnum):
    """How a dataset came. READY and DISPUTED carry records; NO_RECORD is the department's own answer."""

    READY = "READY"
    DISPUTED = "DISPUTED"
    NO_RECORD = "NO_RECORD"
    TIMEOUT = "TIMEOUT"
    UNAVAILABLE = "UNAVAILABLE"
    INVALID_DATA = "INVALID_DATA"
    NOT_AUTHORISED = "NOT_AUTHORISED"
    NOT_COLLECTED = "NOT_COLLECTED"


USABLE = frozenset({SourceState.READY, SourceState.DISPUTED})
Record = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Collected:
    """What became of asking for one dataset: state, and the months that were asked for (None without months)."""

    state: SourceState
    period: Period | None = None


NEVER_ASKED = Collected(SourceState.NOT_COLLECTED)


@dataclass(frozen=True, slots=True)
class Coverage:
    """One dataset of the card: needed or not, its state, and how many of the months looked at carry a record."""

    dataset: str
    required: bool
    state: SourceState
    months_with_records: int

    def document(self) -> dict[str, object]:
        """JSON members."""
        return {
            "dataset": self.dataset,
            "required": self.required,
            "state": self.state.value,
            "months_with_records": self.months_with_records,
        }


def lacks(card: Scorecard, states: Mapping[str, Collected], as_of: Month) -> tuple[Lack, ...]:
    """Every required dataset that is unusable, and every month of its window that was not collected."""
    found: list[Lack] = []
    for dataset in card.required:
        collected = states.get(dataset, NEVER_ASKED)
        if collected.state not in USABLE:
            found.append(Lack(dataset, "dataset", (collected.state.value,)))
            continue
        absent = _absent(card.period(as_of), collected.period)
        if absent:
            found.append(Lack(dataset, "months", absent))
    return tuple(found)


def _absent(needed: Period, collected: Period | None) -> tuple[str, ...]:
    months = [needed.first.shift(step) for step in range(needed.months)]
    return tuple(str(month) for month in months if collected is None or month not in collected)


def survey(
    card: Scorecard, records: Mapping[str, Sequence[Record]], states: Mapping[str, Collected], as_of: Month
) -> tuple[Coverage, ...]:
    """The state of every dataset of the card, required ones first."""
    window = card.period(as_of)
    named = [(dataset, True) for dataset in card.required] + [(dataset, False) for dataset in card.optional]
    return tuple(
        Coverage(
            dataset,
            required,
            states.get(dataset, NEVER_ASKED).state,
            _months(records.get(dataset, ()), window),
        )
        for dataset, required in named
    )


def _months(records: Sequence[Record], window: Period) -> int:
    inside = {str(window.first.shift(step)) for step in range(window.months)}
    return len(inside & {period for record in records if isinstance(period := record.get("period"), str)})
