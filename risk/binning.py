"""Monotone bins with shrunken weight of evidence, for few and unequal observations.

Quantile pre-bins, isotonic pooling (pool adjacent violators) in the declared direction, then
``woe = ln((good + m·g) / (bad + m·b)) - ln(g / b)`` with g, b the shares of the training sample and m pseudo-firms:
a pure bin stays finite and keeps its sign, a bin without firms has weight 0. Source: reference risk.md §5.2, §2.3.
Training only; plain Python, so that its result does not depend on a numerical library.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from math import log
from typing import Literal

from risk.characteristics import Missing, Value

PSEUDO_FIRMS = 20
"""Strength of the shrinkage toward the sample's own odds, in firms."""
MAX_PRE_BINS = 8
EDGE_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Tally:
    """Good and bad training firms of one bin."""

    good: int
    bad: int

    @property
    def n(self) -> int:
        """Firms in the bin."""
        return self.good + self.bad

    def plus(self, other: Tally) -> Tally:
        """Both bins as one."""
        return Tally(self.good + other.good, self.bad + other.bad)

    def woe(self, sample: Tally) -> float:
        """Shrunken ln odds good:bad against the sample; positive = safer than the sample."""
        good = self.good + PSEUDO_FIRMS * sample.good / sample.n
        bad = self.bad + PSEUDO_FIRMS * sample.bad / sample.n
        return log(good / bad) - log(sample.good / sample.bad)


@dataclass(frozen=True, slots=True)
class Bins:
    """Right-open bins ``[edge[i-1], edge[i])`` of one characteristic, and one bin per missing state."""

    edges: tuple[float, ...]
    tallies: tuple[Tally, ...]
    missing: dict[Missing, Tally]
    sample: Tally

    def woe(self, value: Value) -> float:
        """Weight of evidence of one firm."""
        tally = self.missing[value] if isinstance(value, Missing) else self.tallies[bisect_right(self.edges, value)]
        return tally.woe(self.sample)

    @property
    def information(self) -> float:
        """Information value with the shrunken weights; 0 = tells nothing."""
        total = 0.0
        for tally in (*self.tallies, *self.missing.values()):
            share = tally.good / self.sample.good - tally.bad / self.sample.bad
            total += share * tally.woe(self.sample)
        return total


def fit(values: Sequence[Value], bads: Sequence[bool], direction: Literal[1, -1]) -> Bins:
    """Bins of one characteristic on a training sample that holds both good and bad firms."""
    seen = sorted((value, bad) for value, bad in zip(values, bads, strict=True) if not isinstance(value, Missing))
    states = {
        state: _tally([bad for value, bad in zip(values, bads, strict=True) if value is state]) for state in Missing
    }
    pre_edges = _pre_edges([value for value, _ in seen], sum(bad for _, bad in seen))
    counted = [Tally(0, 0)] * (len(pre_edges) + 1)
    for value, bad in seen:
        index = bisect_right(pre_edges, value)
        counted[index] = counted[index].plus(_tally([bad]))
    edges, tallies = _pool(pre_edges, counted, direction)
    return Bins(edges, tallies, states, _tally(list(bads)))


def _tally(bads: Sequence[bool]) -> Tally:
    return Tally(len(bads) - sum(bads), sum(bads))


def _pre_edges(ordered: Sequence[float], bad: int) -> list[float]:
    """Quantile edges between different values, at most one pre-bin per four bad firms."""
    wanted = max(min(MAX_PRE_BINS, bad // 4), 1)
    edges: list[float] = []
    for part in range(1, wanted):
        index = part * len(ordered) // wanted
        below = [value for value in ordered[:index] if value < ordered[index]]
        if below:
            edge = _short(below[-1], ordered[index])
            if not edges or edge > edges[-1]:
                edges.append(edge)
    return edges


def _short(low: float, high: float) -> float:
    """The shortest decimal in ``(low, high]``, near the middle; ``high`` itself if six decimals cannot part them."""
    for digits in range(EDGE_DIGITS + 1):
        edge = round((low + high) / 2, digits)
        if low < edge <= high:
            return edge
    return high


def _pool(
    edges: Sequence[float], counted: Sequence[Tally], direction: Literal[1, -1]
) -> tuple[tuple[float, ...], tuple[Tally, ...]]:
    """Merge neighbours until bad rates fall strictly (direction +1) or rise strictly (-1); no empty bin remains."""
    kept_edges: list[float] = []
    kept: list[Tally] = []
    for index, tally in enumerate(counted):
        kept.append(tally)
        if index:
            kept_edges.append(edges[index - 1])
        while len(kept) > 1 and _violates(kept[-2], kept[-1], direction):
            kept[-2:] = [kept[-2].plus(kept[-1])]
            kept_edges.pop()
    return tuple(kept_edges), tuple(kept)


def _violates(left: Tally, right: Tally, direction: Literal[1, -1]) -> bool:
    if left.n == 0 or right.n == 0:
        return True
    return (left.bad * right.n - right.bad * left.n) * direction <= 0
