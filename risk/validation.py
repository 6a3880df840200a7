"""Measures of a card: discrimination, calibration, and how sure they are.

AUC and KS read the risk ordering, log-loss and slope the probabilities. Intervals: Nadeau and Bengio (2003) correct
the variance of repeated cross-validation for overlapping training sets; the bootstrap resamples firms within good and
bad. Plain Python; orderings treat equal risks as ties.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, fsum, log1p, sqrt
from random import Random

from risk import regression

STUDENT_975 = {49: 2.009575}
"""97.5 % quantile of Student's t, by degrees of freedom: ten repeats of five folds have 49."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean and its 95 % interval."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.4f} [{self.low:.4f}, {self.high:.4f}]"


def auc(risks: Sequence[float], bads: Sequence[bool]) -> float:
    """Chance that a bad firm has the higher risk than a good one, ties half; needs both."""
    good = sorted(risk for risk, bad in zip(risks, bads, strict=True) if not bad)
    bad_risks = [risk for risk, bad in zip(risks, bads, strict=True) if bad]
    wins = sum(bisect_left(good, risk) + bisect_right(good, risk) for risk in bad_risks)
    return wins / (2 * len(good) * len(bad_risks))


def ks(risks: Sequence[float], bads: Sequence[bool]) -> float:
    """Greatest distance between the two cumulative distributions, 0..1; needs both kinds of firm."""
    good = sorted(risk for risk, bad in zip(risks, bads, strict=True) if not bad)
    other = sorted(risk for risk, bad in zip(risks, bads, strict=True) if bad)
    return max(
        abs(bisect_right(good, risk) / len(good) - bisect_right(other, risk) / len(other)) for risk in {*good, *other}
    )


def log_loss(log_odds: Sequence[float], bads: Sequence[bool]) -> float:
    """Mean negative log-likelihood; ``log_odds`` of being good."""
    return fsum(_surprise(z if bad else -z) for z, bad in zip(log_odds, bads, strict=True)) / len(bads)


def _surprise(x: float) -> float:
    """ln(1 + e^x) without overflow."""
    return max(x, 0.0) + log1p(exp(-abs(x)))


def calibration_slope(log_odds: Sequence[float], bads: Sequence[bool]) -> float:
    """Slope of the outcome on the predicted ln odds; 1 = right, below 1 = predictions too extreme."""
    return regression.fit([(z,) for z in log_odds], bads, 0.0).coefficients[0]


def nadeau_bengio(values: Sequence[float], folds: int) -> Interval:
    """Mean over all folds of repeated ``folds``-fold cross-validation; variance s² (1/J + 1/(folds - 1))."""
    count = len(values)
    mean = fsum(values) / count
    variance = fsum((value - mean) ** 2 for value in values) / (count - 1)
    half = STUDENT_975[count - 1] * sqrt(variance * (1 / count + 1 / (folds - 1)))
    return Interval(mean, mean - half, min(mean + half, 1.0))


Measure = Callable[[Sequence[float], Sequence[bool]], float]


def bootstrap(
    measure: Measure, repeats: Sequence[Sequence[float]], bads: Sequence[bool], *, draws: int, seed: int
) -> Interval:
    """The measure of out-of-fold predictions, averaged over repeats; percentile interval over resampled firms.

    ``repeats`` holds one prediction per firm and repeat. Good and bad firms are drawn apart, so their numbers stay.
    """
    chance = Random(seed)  # noqa: S311 - resampling, reproducible by seed
    groups = [[i for i, bad in enumerate(bads) if bad is kind] for kind in (False, True)]

    def averaged(chosen: Sequence[int]) -> float:
        own = [bads[i] for i in chosen]
        return fsum(measure([row[i] for i in chosen], own) for row in repeats) / len(repeats)

    drawn = sorted(averaged([i for g in groups for i in chance.choices(g, k=len(g))]) for _ in range(draws))
    return Interval(averaged(range(len(bads))), drawn[round(draws * 0.025)], drawn[round(draws * 0.975) - 1])
