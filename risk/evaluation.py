"""Repeated stratified out-of-fold evaluation of the whole training procedure.

Ten repeats of five folds. Fold means carry the Nadeau-Bengio interval, pooled out-of-fold predictions the bootstrap
interval: the first speaks of other samples of this size, the second of these firms drawn again.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from math import fsum

from risk import validation
from risk.fitting import Model, train
from risk.sample import Sample, deal, others
from risk.validation import Interval

REPEATS = 10
FOLDS = 5
DRAWS = 1000


@dataclass(frozen=True, slots=True)
class Report:
    """What the out-of-fold predictions say; ``chosen`` = share of the fold models that use a characteristic."""

    auc: Interval
    auc_pooled: Interval
    ks: Interval
    log_loss: Interval
    slope: float
    auc_year_before: float
    n_year_before: int
    chosen: dict[str, float]


@dataclass(frozen=True, slots=True)
class Judged:
    """ln odds of every firm by models that never saw it, per repeat, and the models themselves."""

    fold_aucs: list[float] = field(default_factory=list)
    now: list[list[float]] = field(default_factory=list)
    year_before: list[list[float]] = field(default_factory=list)
    models: list[Model] = field(default_factory=list)


def evaluate(sample: Sample, year_before: Sample, seed: str) -> Report:
    """Cross-validate ``train``; ``year_before`` shows the same firms twelve months earlier to the same models."""
    judged = Judged()
    for repeat in range(REPEATS):
        _judge(sample, year_before, f"{seed}/{repeat}", judged)
    chosen = Counter(name for model in judged.models for name in model.bins)
    before = [validation.auc([-z for z in row], year_before.bads) for row in judged.year_before]
    slopes = [validation.calibration_slope(row, sample.bads) for row in judged.now]
    risks = [[-z for z in row] for row in judged.now]
    return Report(
        auc=validation.nadeau_bengio(judged.fold_aucs, FOLDS),
        auc_pooled=validation.bootstrap(validation.auc, risks, sample.bads, draws=DRAWS, seed=1),
        ks=validation.bootstrap(validation.ks, risks, sample.bads, draws=DRAWS, seed=2),
        log_loss=validation.bootstrap(validation.log_loss, judged.now, sample.bads, draws=DRAWS, seed=3),
        slope=fsum(slopes) / REPEATS,
        auc_year_before=fsum(before) / REPEATS,
        n_year_before=len(year_before),
        chosen={name: count / len(judged.models) for name, count in sorted(chosen.items())},
    )


def _judge(sample: Sample, year_before: Sample, seed: str, into: Judged) -> None:
    """One repeat: every firm, and its earlier self, once."""
    earlier = {ent: index for index, ent in enumerate(year_before.ents)}
    now, before = [0.0] * len(sample), [0.0] * len(year_before)
    for number, fold in enumerate(deal(sample, FOLDS, seed)):
        model = train(sample.part(others(sample, fold)), f"{seed}/{number}")
        into.models.append(model)
        for index in fold:
            now[index] = model.log_odds(sample.rows[index])
            if (place := earlier.get(sample.ents[index])) is not None:
                before[place] = model.log_odds(year_before.rows[place])
        into.fold_aucs.append(validation.auc([-now[i] for i in fold], [sample.bads[i] for i in fold]))
    into.now.append(now)
    into.year_before.append(before)
