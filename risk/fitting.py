"""From a sample to a model: bins, choice of characteristics, ridge strength, coefficients.

Everything that looks at outcomes happens here and sees only the sample it is given. Source: reference risk.md §5.2.
"""

from __future__ import annotations

from dataclasses import dataclass

from risk import binning, regression
from risk.binning import Bins
from risk.characteristics import CATALOGUE, Value
from risk.regression import Fit
from risk.sample import Sample, deal, others
from risk.validation import log_loss

PENALTIES = (0.01, 0.03, 0.1, 0.3)
INNER_FOLDS = 5
LEAST_INFORMATION = 0.02
"""Characteristics below this information value are left out: the usual limit of "not predictive"."""
LEAST_COEFFICIENT = 0.01
"""Below it no bin is worth a point: the characteristic would only lengthen the card and ask for more fields."""


@dataclass(frozen=True, slots=True)
class Model:
    """Bins by characteristic name, in the order of the coefficients."""

    bins: dict[str, Bins]
    fit: Fit
    penalty: float

    def log_odds(self, row: dict[str, Value]) -> float:
        """ln odds of being good, for one firm."""
        return self.fit.log_odds([bins.woe(row[name]) for name, bins in self.bins.items()])


def bin_all(sample: Sample) -> dict[str, Bins]:
    """Monotone bins of every characteristic that tells something in its declared direction."""
    found = {
        each.name: binning.fit([row[each.name] for row in sample.rows], sample.bads, each.direction)
        for each in CATALOGUE
    }
    return {name: bins for name, bins in found.items() if bins.information >= LEAST_INFORMATION}


def fit_bins(sample: Sample, bins: dict[str, Bins], penalty: float) -> Model:
    """Coefficients over given bins; characteristics worth next to nothing leave the model."""
    rows = [[each.woe(row[name]) for name, each in bins.items()] for row in sample.rows]
    fit = regression.fit(rows, sample.bads, penalty)
    kept = [(name, c) for name, c in zip(bins, fit.coefficients, strict=True) if c > LEAST_COEFFICIENT]
    coefficients = tuple(c for _, c in kept)
    return Model({name: bins[name] for name, _ in kept}, Fit(fit.intercept, coefficients), penalty)


def choose_penalty(sample: Sample, seed: str) -> float:
    """The ridge strength with the least inner out-of-fold log-loss; the stronger one wins a tie."""
    losses = dict.fromkeys(PENALTIES, 0.0)
    for fold in deal(sample, INNER_FOLDS, f"{seed}/inner"):
        learning, held = sample.part(others(sample, fold)), sample.part(fold)
        bins = bin_all(learning)
        for penalty in PENALTIES:
            model = fit_bins(learning, bins, penalty)
            losses[penalty] += log_loss([model.log_odds(row) for row in held.rows], held.bads) * len(held)
    return min(reversed(PENALTIES), key=lambda penalty: losses[penalty])


def train(sample: Sample, seed: str) -> Model:
    """The whole procedure on one sample; cross-validation calls exactly this on every learning part."""
    return fit_bins(sample, bin_all(sample), choose_penalty(sample, seed))
