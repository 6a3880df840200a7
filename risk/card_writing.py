"""From a model to the members of a card: whole thousandths of points, decimal strings, counts.

Rounding a bin moves its ln odds by at most half a thousandth of a point, so a card with k characteristics is within
(k + 1)/2 · ln 2 / (20 · 1000) of the model's ln odds; ``tests/risk`` holds that bound.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from risk.binning import PSEUDO_FIRMS, Bins, Tally
from risk.card_file import FORMAT, required, rounded_mean
from risk.characteristics import BY_NAME, WINDOW_MONTHS, Missing
from risk.evaluation import FOLDS, REPEATS, Report
from risk.fitting import Model
from risk.sample import Sample
from risk.scorecard import Scaling

HISTORY_MONTHS = 12
"""Younger firms are not scored: the sample holds none, and a year is the least that shows the seasons."""
OPTIONAL = [
    "electricity.electricity_usage",
    "gas.gas_usage",
    "social_insurance.si_contributions",
    "tax.tax_arrears",
    "water.water_usage",
]
BANDS = [
    {"name": "A", "low": 600, "zh": "低风险", "en": "low risk"},
    {"name": "B", "low": 570, "zh": "较低风险", "en": "moderate risk"},
    {"name": "C", "low": 540, "zh": "中等风险", "en": "raised risk"},
    {"name": "D", "low": 300, "zh": "较高风险", "en": "high risk"},
]
"""By odds: from 20, from 7.1 and from 2.5 good firms per bad one upward."""


@dataclass(frozen=True, slots=True)
class Training:
    """What a card remembers of its making: seed and the SHA-256 of each fact file."""

    name: str
    seed: str
    facts: dict[str, str]


def members(model: Model, sample: Sample, report: Report, training: Training) -> dict[str, object]:
    """The card as canonical JSON members."""
    chosen = tuple(BY_NAME[name] for name in model.bins)
    return {
        "format": FORMAT,
        "name": training.name,
        "scaling": {"base": 600, "pdo": 20, "odds": 20, "low": 300, "high": 850},
        "window_months": WINDOW_MONTHS,
        "history_months": HISTORY_MONTHS,
        "intercept_mpts": Scaling().intercept_mpts(model.fit.intercept),
        "characteristics": [
            _characteristic(name, bins, coefficient)
            for (name, bins), coefficient in zip(model.bins.items(), model.fit.coefficients, strict=True)
        ],
        "bands": BANDS,
        "required": {name: list(fields) for name, fields in required(chosen).items()},
        "optional": OPTIONAL,
        "trained": {
            "as_of": str(sample.as_of),
            "n": len(sample),
            "bad": sum(sample.bads),
            "min_history_months": min(sample.histories),
            "seed": training.seed,
            "facts": training.facts,
            "penalty": decimal(model.penalty),
            "pseudo_firms": PSEUDO_FIRMS,
        },
        "metrics": metrics(report),
    }


def metrics(report: Report) -> dict[str, object]:
    """Four digits; intervals are 95 %."""
    return {
        "scheme": f"{REPEATS} x {FOLDS}-fold, stratified, out of fold",
        "auc_nadeau_bengio": str(report.auc),
        "auc_pooled_bootstrap": str(report.auc_pooled),
        "ks_pooled_bootstrap": str(report.ks),
        "log_loss_bootstrap": str(report.log_loss),
        "calibration_slope": f"{report.slope:.4f}",
        "auc_twelve_months_before": f"{report.auc_year_before:.4f}",
        "n_twelve_months_before": report.n_year_before,
    }


def decimal(number: float) -> str:
    """The shortest decimal string that reads back as the same float, without exponent."""
    return format(Decimal(repr(number)).normalize(), "f")


def _characteristic(name: str, bins: Bins, coefficient: float) -> dict[str, object]:
    def place(tally: Tally) -> dict[str, int | None]:
        points = Scaling().mpts(coefficient * tally.woe(bins.sample)) if tally.n else None
        return {"mpts": points, "n": tally.n, "bad": tally.bad}

    tallies = (*bins.tallies, *(bins.missing[state] for state in Missing))
    total = sum((place(tally)["mpts"] or 0) * tally.n for tally in tallies)
    return {
        "name": name,
        "definition": BY_NAME[name].definition(),
        "coefficient": f"{coefficient:.6f}",
        "edges": [decimal(edge) for edge in bins.edges],
        "bins": [place(tally) for tally in bins.tallies],
        "missing": {state.value: place(bins.missing[state]) for state in Missing},
        "mean_mpts": rounded_mean(total, bins.sample.n),
    }
