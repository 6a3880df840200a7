"""``assess``: from the records of one firm to a decision-ready assessment. Pure; the door of this package.

Order: states and months of the required datasets, arrays, history, characteristics, score, reasons. Nothing after
``as_of`` is read. Optional datasets change the coverage and never the score of the first card.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from consent.canonical import canonical
from consent.period import Month
from risk import coverage, reasons, scorecard
from risk.characteristics import measure
from risk.coverage import Collected, Coverage, Record, SourceState
from risk.errors import Lack, Unscorable
from risk.invoices import DATASET, View, build
from risk.reasons import Reason
from risk.scorecard import Band, Scorecard, Scored

BEIJING = timezone(timedelta(hours=8))
"""A tax month ends at midnight in Beijing."""
STALE_AFTER_MONTHS = 3


@dataclass(frozen=True, slots=True)
class Assessment:
    """A score with all that explains it. ``score`` whole points; ``pd`` 0..1, six digits; ``reasons`` at most four.

    ``input_digests``: ``digest_records`` per dataset, hex. ``flags`` out of short_history, stale, disputed, clipped.
    """

    score: int
    pd: float
    band: Band
    reasons: tuple[Reason, ...]
    coverage: tuple[Coverage, ...]
    flags: tuple[str, ...]
    input_digests: Mapping[str, str]
    card_name: str
    card_digest: str
    as_of: Month
    assessed_at: datetime
    scored: Scored

    def document(self, *, own_values: bool = False) -> dict[str, object]:
        """Canonical JSON members; PD is a decimal string.

        Without ``own_values`` nothing of the firm's records can be read from it but the score and what moved it: this
        is the form ``model``. With them it is for the firm itself, or a bank that may read the rows as well.
        """
        return {
            "score": self.score,
            "pd": f"{self.pd:.6f}",
            "band": {"name": self.band.name, "zh": self.band.label_zh, "en": self.band.label_en},
            "reasons": [reason.document(own_values=own_values) for reason in self.reasons],
            "strengths": [each.document(own_values=own_values) for each in reasons.strengths(self.scored)],
            "coverage": [each.document() for each in self.coverage],
            "flags": list(self.flags),
            "input_digests": dict(self.input_digests),
            "card": {"name": self.card_name, "digest": self.card_digest},
            "as_of": str(self.as_of),
            "assessed_at": self.assessed_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        }


def assess(
    records_by_dataset: Mapping[str, Sequence[Record]],
    states_by_dataset: Mapping[str, Collected],
    *,
    card: Scorecard,
    as_of: str,
    now: datetime,
) -> Assessment:
    """Judge one firm at the end of month ``as_of`` (YYYY-MM).

    Raises Unscorable naming every missing dataset, month, field or the firm's short history; ValueError when ``now`` is
    naive or ``as_of`` is not over yet; Invalid when ``as_of`` is no month. Records of a dataset whose state carries
    none are not read. The order of records does not matter.
    """
    month = _finished(as_of, now)
    missing = coverage.lacks(card, states_by_dataset, month)
    if missing:
        raise Unscorable(missing)
    usable = {
        dataset: records
        for dataset, records in records_by_dataset.items()
        if states_by_dataset.get(dataset, coverage.NEVER_ASKED).state in coverage.USABLE
    }
    view = build(usable.get(DATASET, ()), card.period(month)).view(month, card.window_months)
    _demand_history(view, card)
    scored = scorecard.score(card, measure(view, tuple(rule.characteristic for rule in card.rules)))
    surveyed = coverage.survey(card, usable, states_by_dataset, month)
    return Assessment(
        score=scored.score,
        pd=round(scored.pd, 6),
        band=card.band(scored.score),
        reasons=reasons.top(scored),
        coverage=surveyed,
        flags=_flags(card, view, scored, surveyed) + _stale(month, now),
        input_digests={dataset: digest_records(records) for dataset, records in sorted(usable.items())},
        card_name=card.name,
        card_digest=card.digest,
        as_of=month,
        assessed_at=now,
        scored=scored,
    )


def digest_records(records: Sequence[Record]) -> str:
    """SHA-256 over the canonical array of the records, sorted by their own canonical bytes: order does not matter."""
    ordered = sorted(canonical(dict(record)) for record in records)
    return hashlib.sha256(b"[" + b",".join(ordered) + b"]").hexdigest()


def last_complete_month(now: datetime) -> Month:
    """The newest month that can be an ``as_of``. Raises ValueError for a naive time."""
    if now.tzinfo is None:
        raise ValueError("now must be aware")
    local = now.astimezone(BEIJING)
    return Month.parse(f"{local.year:04d}-{local.month:02d}").shift(-1)


def _finished(as_of: str, now: datetime) -> Month:
    month = Month.parse(as_of)
    if month > last_complete_month(now):
        raise ValueError("as_of is not over yet")
    return month


def _demand_history(view: View, card: Scorecard) -> None:
    if view.history < card.history_months:
        names = (f"{view.history} months since the first invoice", f"{card.history_months} needed")
        raise Unscorable((Lack(DATASET, "history", names),))


def _flags(card: Scorecard, view: View, scored: Scored, surveyed: Sequence[Coverage]) -> tuple[str, ...]:
    raised = {
        "short_history": view.history < card.trained_history_months,
        "disputed": any(each.required and each.state is SourceState.DISPUTED for each in surveyed),
        "clipped": not card.scaling.low <= scored.mpts / scorecard.MILLI <= card.scaling.high,
    }
    return tuple(name for name, is_raised in raised.items() if is_raised)


def _stale(month: Month, now: datetime) -> tuple[str, ...]:
    return ("stale",) if last_complete_month(now).ordinal - month.ordinal > STALE_AFTER_MONTHS else ()
