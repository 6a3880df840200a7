"""The labelled training sample, and how it is dealt into folds.

Folds are dealt by SHA-256 of seed and firm number, so they depend on no library's generator and on no row order.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from consent.period import Month, Period
from risk.characteristics import WINDOW_MONTHS, Value, measure
from risk.facts import Firm
from risk.invoices import build

LAST_FULL_MONTH = Month.parse("2020-01")


@dataclass(frozen=True, slots=True)
class Sample:
    """Firms with a known outcome as seen at one month: number, characteristics, outcome, months of history."""

    as_of: Month
    ents: tuple[int, ...]
    rows: tuple[dict[str, Value], ...]
    bads: tuple[bool, ...]
    histories: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ents)

    def part(self, indices: Sequence[int]) -> Sample:
        """The firms at these places, in this order."""
        return Sample(
            self.as_of,
            tuple(self.ents[i] for i in indices),
            tuple(self.rows[i] for i in indices),
            tuple(self.bads[i] for i in indices),
            tuple(self.histories[i] for i in indices),
        )


def take(firms: Sequence[Firm], as_of: Month, history_months: int) -> Sample:
    """Every firm with a known outcome and enough history at ``as_of``, measured as scoring measures it."""
    collected = Period(as_of.shift(1 - WINDOW_MONTHS), as_of)
    kept = []
    for firm in firms:
        if firm.default is None:
            continue
        view = build(firm.records, collected).view(as_of, WINDOW_MONTHS)
        if view.history >= history_months:
            kept.append((firm.ent, measure(view), firm.default, view.history))
    return Sample(
        as_of,
        tuple(each[0] for each in kept),
        tuple(each[1] for each in kept),
        tuple(each[2] for each in kept),
        tuple(each[3] for each in kept),
    )


def deal(sample: Sample, folds: int, seed: str) -> tuple[tuple[int, ...], ...]:
    """Places of the sample in ``folds`` folds, good and bad firms dealt apart; together they hold every place once."""

    def lot(index: int) -> bytes:
        return hashlib.sha256(f"{seed}/{sample.ents[index]}".encode("ascii")).digest()

    hands: list[list[int]] = [[] for _ in range(folds)]
    order = [i for kind in (True, False) for i in sorted(_places(sample, kind), key=lot)]
    for turn, index in enumerate(order):
        hands[turn % folds].append(index)
    return tuple(tuple(sorted(hand)) for hand in hands)


def _places(sample: Sample, kind: bool) -> list[int]:
    return [index for index, bad in enumerate(sample.bads) if bad is kind]


def others(sample: Sample, fold: Sequence[int]) -> tuple[int, ...]:
    """Every place that is not in the fold."""
    held = set(fold)
    return tuple(index for index in range(len(sample)) if index not in held)
