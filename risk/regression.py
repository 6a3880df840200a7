"""Ridge logistic regression whose coefficients cannot be negative.

Minimises ``mean log-loss + penalty/2 · Σ coefficient²`` over intercept (free, not penalised) and coefficients ≥ 0,
by Newton steps; each step's quadratic problem is solved by coordinate descent on the bounded coefficients. A weight
of evidence with a negative coefficient would turn a characteristic against its own meaning (reference risk.md
§2.2, toad #98), so the constraint is part of the model. Plain Python on purpose: a hundred firms do not need a
linear-algebra library, and without one the card comes out the same on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, fsum
from operator import mul

NEWTON_STEPS = 60
DESCENT_ROUNDS = 500
TOLERANCE = 1e-10


@dataclass(frozen=True, slots=True)
class Fit:
    """ln odds good:bad = intercept + Σ coefficient · woe, coefficients ≥ 0."""

    intercept: float
    coefficients: tuple[float, ...]

    def log_odds(self, woes: Sequence[float]) -> float:
        """Of being good, for one firm."""
        return self.intercept + fsum(map(mul, self.coefficients, woes))


def fit(rows: Sequence[Sequence[float]], bads: Sequence[bool], penalty: float) -> Fit:
    """Fit on one row of weights of evidence per firm. Raises ArithmeticError if Newton does not settle."""
    columns = [[1.0] * len(bads), *(list(column) for column in zip(*rows, strict=True))]
    good = [0.0 if bad else 1.0 for bad in bads]
    ridge = [0.0] + [penalty] * (len(columns) - 1)
    beta = [0.0] * len(columns)
    for _ in range(NEWTON_STEPS):
        chance = [1.0 / (1.0 + exp(-sum(map(mul, beta, row)))) for row in zip(*columns, strict=True)]
        error = [(p - g) / len(good) for p, g in zip(chance, good, strict=True)]
        gradient = [sum(map(mul, column, error)) for column in columns]
        slope = [g + r * b for g, r, b in zip(gradient, ridge, beta, strict=True)]
        step = _bounded_step(beta, slope, _hessian(columns, chance, ridge))
        beta = [b + s for b, s in zip(beta, step, strict=True)]
        if max(map(abs, step)) < TOLERANCE:
            return Fit(beta[0], tuple(max(b, 0.0) for b in beta[1:]))
    raise ArithmeticError("the regression did not settle")


def _hessian(columns: list[list[float]], chance: list[float], ridge: list[float]) -> list[list[float]]:
    weights = [p * (1.0 - p) / len(chance) for p in chance]
    size = len(columns)
    hessian = [[0.0] * size for _ in range(size)]
    for i, column in enumerate(columns):
        weighted = list(map(mul, column, weights))
        for j in range(i + 1):
            hessian[i][j] = hessian[j][i] = sum(map(mul, weighted, columns[j]))
        hessian[i][i] += ridge[i]
    return hessian


def _bounded_step(beta: list[float], gradient: list[float], hessian: list[list[float]]) -> list[float]:
    """Minimise the local quadratic over ``beta + step`` with every entry but the first kept ≥ 0."""
    step = [0.0] * len(beta)
    for _ in range(DESCENT_ROUNDS):
        largest = 0.0
        for index, row in enumerate(hessian):
            wanted = step[index] - (gradient[index] + sum(map(mul, row, step))) / row[index]
            if index:
                wanted = max(wanted, -beta[index])
            largest = max(largest, abs(wanted - step[index]))
            step[index] = wanted
        if largest < TOLERANCE / 10:
            break
    return step
