"""A scorecard: bins to points to a score and a probability of default, in plain Python.

Arithmetic is exact: points are whole thousandths (``mpts``), so the losses against the population mean add up to the
score difference to the last digit, and one firm scores the same alone, in a batch, in any order, after a round trip.
``score = 600 + 20/ln 2 · (ln odds - ln 20)``, odds good:bad, clipped to 300..850 (reference risk.md §5.2).
Nothing is guessed: a missing value has a bin of its own, and a state the training never saw is refused.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, isfinite, log

from consent.period import Month, Period
from risk.characteristics import Characteristic, Missing, Value
from risk.errors import Lack, Unscorable

MILLI = 1000


@dataclass(frozen=True, slots=True)
class Scaling:
    """``base`` points stand for ``odds`` good per bad firm, ``pdo`` more double the odds; a score stays in range."""

    base: int = 600
    pdo: int = 20
    odds: int = 20
    low: int = 300
    high: int = 850

    def mpts(self, log_odds: float) -> int:
        """Thousandths of a point worth this many ln odds (a difference, not a level)."""
        return round(MILLI * self.pdo / log(2) * log_odds)

    def intercept_mpts(self, log_odds: float) -> int:
        """Thousandths of a point of a level of ln odds."""
        return MILLI * self.base + self.mpts(log_odds - log(self.odds))

    def log_odds(self, mpts: int) -> float:
        """Of being good, at this many thousandths of a point."""
        return log(self.odds) + (mpts / MILLI - self.base) * log(2) / self.pdo

    def score(self, mpts: int) -> int:
        """Whole points inside the range; half a point goes up."""
        return min(max((mpts + MILLI // 2) // MILLI, self.low), self.high)


@dataclass(frozen=True, slots=True)
class Bin:
    """Points of one bin and the training firms behind them. ``mpts`` is None where there were none."""

    mpts: int | None
    n: int
    bad: int


@dataclass(frozen=True, slots=True)
class Rule:
    """One characteristic on a card: right-open bins ``[edge[i-1], edge[i])`` and one bin per missing state."""

    characteristic: Characteristic
    edges: tuple[float, ...]
    bins: tuple[Bin, ...]
    missing: Mapping[Missing, Bin]
    mean_mpts: int

    def bin(self, value: Value) -> Bin:
        """The bin of a value. Raises TypeError or ValueError for anything that is no value of this field."""
        if isinstance(value, Missing):
            return self.missing[value]
        if type(value) is not float:
            raise TypeError(f"{self.characteristic.name} wants a float or a missing state")
        if not isfinite(value):
            raise ValueError(f"{self.characteristic.name} is not finite: a missing value is a state, not NaN")
        return self.bins[bisect_right(self.edges, value)]


@dataclass(frozen=True, slots=True)
class Band:
    """A named range of scores, from ``low`` upward to the next band."""

    name: str
    low: int
    label_zh: str
    label_en: str


@dataclass(frozen=True, slots=True)
class Scorecard:
    """A validated card; ``digest`` is the SHA-256 of its canonical bytes. Bands run from the best to the worst."""

    name: str
    digest: str
    scaling: Scaling
    window_months: int
    history_months: int
    trained_history_months: int
    intercept_mpts: int
    rules: tuple[Rule, ...]
    bands: tuple[Band, ...]
    required: Mapping[str, tuple[str, ...]]
    optional: tuple[str, ...]

    @property
    def mean_mpts(self) -> int:
        """What the mean training firm scores, in thousandths of a point."""
        return self.intercept_mpts + sum(rule.mean_mpts for rule in self.rules)

    def period(self, as_of: Month) -> Period:
        """The months a firm's required records must cover."""
        return Period(as_of.shift(1 - self.window_months), as_of)

    def band(self, score: int) -> Band:
        """The band of a score."""
        return next(band for band in self.bands if score >= band.low)


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one characteristic did: ``lost_mpts`` = points of the mean training firm minus the firm's own."""

    characteristic: Characteristic
    value: Value
    mpts: int
    lost_mpts: int


@dataclass(frozen=True, slots=True)
class Scored:
    """``mpts`` is the sum before clipping; ``pd`` follows from it, not from the clipped score."""

    mpts: int
    score: int
    pd: float
    contributions: tuple[Contribution, ...]


def score(card: Scorecard, values: Mapping[str, Value]) -> Scored:
    """Score one firm from its characteristics by name; their order does not matter, further ones are not read.

    Raises KeyError if a characteristic of the card was not measured, Unscorable (kind ``characteristic`` or ``fields``)
    if one is in a state the card has no points for, TypeError or ValueError for a value of another kind.
    """
    contributions, refused = [], []
    for rule in card.rules:
        value = values[rule.characteristic.name]
        points = rule.bin(value).mpts
        if points is None:
            refused.append(_lack(rule.characteristic, value))
            continue
        contributions.append(Contribution(rule.characteristic, value, points, rule.mean_mpts - points))
    if refused:
        raise Unscorable(tuple(refused))
    mpts = card.intercept_mpts + sum(each.mpts for each in contributions)
    pd = 1.0 / (1.0 + exp(card.scaling.log_odds(mpts)))
    return Scored(mpts, card.scaling.score(mpts), pd, tuple(contributions))


def _lack(characteristic: Characteristic, value: Value) -> Lack:
    if value is Missing.FIELD_ABSENT:
        return Lack(characteristic.dataset, "fields", characteristic.fields)
    return Lack(characteristic.dataset, "characteristic", (characteristic.name, str(value)))
