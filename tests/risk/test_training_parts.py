"""The parts of training against hand-worked cases and, where one exists, a well-known library."""

from __future__ import annotations

from itertools import pairwise
from math import exp, isclose, log
from random import Random

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LogisticRegression

from risk import binning, regression, validation
from risk.binning import Tally
from risk.characteristics import Missing

SAMPLE = Tally(80, 20)
labelled = st.lists(st.tuples(st.floats(0, 100, allow_nan=False), st.booleans()), min_size=30, max_size=120)


def test_a_pure_bin_keeps_a_finite_weight_of_the_right_sign() -> None:
    # Twenty pseudo-firms at the sample's odds: (0 + 16) good to (10 + 4) bad, against 80 to 20.
    assert Tally(0, 10).woe(SAMPLE) == pytest.approx(log(16 / 14) - log(4))
    assert Tally(0, 10).woe(SAMPLE) < 0 < Tally(10, 0).woe(SAMPLE)


def test_a_bin_at_the_samples_own_odds_or_without_firms_weighs_nothing() -> None:
    assert Tally(40, 10).woe(SAMPLE) == pytest.approx(0)
    assert Tally(0, 0).woe(SAMPLE) == pytest.approx(0)


@settings(max_examples=60, deadline=None)
@given(labelled, st.sampled_from([1, -1]))
def test_bins_are_monotone_in_the_declared_direction_and_hold_everyone(
    data: list[tuple[float, bool]], direction: int
) -> None:
    values, bads = [value for value, _ in data], [bad for _, bad in data]
    assume(0 < sum(bads) < len(bads))
    bins = binning.fit(values, bads, 1 if direction == 1 else -1)
    assert sum(tally.n for tally in bins.tallies) == len(data)
    assert sum(tally.bad for tally in bins.tallies) == sum(bads)
    assert all(tally.n for tally in bins.tallies)
    rates = [tally.bad / tally.n for tally in bins.tallies]
    assert all((left - right) * direction > 0 for left, right in pairwise(rates))
    assert all(low < high for low, high in pairwise(bins.edges))
    for edge, right in zip(bins.edges, bins.tallies[1:], strict=True):
        assert bins.woe(edge) == right.woe(bins.sample)


def test_missing_states_are_binned_apart_and_never_as_a_value() -> None:
    values = [0.0] * 40 + [5.0] * 40 + [Missing.UNDEFINED] * 10
    bads = [True] * 20 + [False] * 60 + [True] * 10
    bins = binning.fit(values, bads, 1)
    assert bins.missing[Missing.UNDEFINED] == Tally(0, 10)
    assert bins.missing[Missing.TOO_SHORT] == Tally(0, 0)
    assert sum(tally.n for tally in bins.tallies) == 80
    assert bins.woe(Missing.UNDEFINED) < bins.woe(0.0) < 0 < bins.woe(5.0)


@settings(max_examples=60, deadline=None)
@given(labelled)
def test_binning_follows_the_order_and_not_the_scale(data: list[tuple[float, bool]]) -> None:
    values, bads = [round(value, 3) for value, _ in data], [bad for _, bad in data]
    assume(0 < sum(bads) < len(bads))
    plain = binning.fit(values, bads, 1)
    stretched = binning.fit([value * 1024 for value in values], bads, 1)
    assert plain.tallies == stretched.tallies


def test_edges_are_the_shortest_decimals_between_neighbours() -> None:
    assert binning._short(1.1026, 1.1031) == 1.103
    assert binning._short(21000.4, 21316.0) == 21158
    tight = 0.1 + 0.2
    assert binning._short(0.3, tight) == tight


def _woes(seed: int, n: int, k: int) -> tuple[list[list[float]], list[bool]]:
    chance = Random(seed)
    rows = [[chance.gauss(0, 1) for _ in range(k)] for _ in range(n)]
    bads = [chance.random() < 1 / (1 + exp(1 + 0.8 * row[0] - 0.9 * row[1] + 0.2 * row[2])) for row in rows]
    return rows, bads


def test_regression_agrees_with_scikit_learn_where_no_bound_holds() -> None:
    rows, bads = _woes(5, 150, 3)
    rows = [[row[0], -row[1], row[2]] for row in rows]
    ours = regression.fit(rows, bads, 0.05)
    theirs = LogisticRegression(C=1 / (0.05 * len(rows)), tol=1e-10, max_iter=1000)
    theirs.fit(rows, [not bad for bad in bads])
    assert ours.intercept == pytest.approx(theirs.intercept_[0], abs=1e-6)
    assert ours.coefficients == pytest.approx(list(theirs.coef_[0]), abs=1e-6)


def test_no_coefficient_is_negative_and_the_optimum_is_one() -> None:
    rows, bads = _woes(6, 150, 4)
    fit = regression.fit(rows, bads, 0.05)
    assert fit.coefficients[1] == 0.0 and fit.coefficients[0] > 0.1

    def loss(coefficients: list[float]) -> float:
        z = [fit.intercept + sum(c * x for c, x in zip(coefficients, row, strict=True)) for row in rows]
        return validation.log_loss(z, bads) + 0.025 * sum(c * c for c in coefficients)

    best = loss(list(fit.coefficients))
    for index in range(4):
        for step in (1e-3, -1e-3):
            moved = list(fit.coefficients)
            moved[index] += step
            if moved[index] >= 0:
                assert loss(moved) >= best


scores = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=2, max_size=60)


@settings(max_examples=60, deadline=None)
@given(scores)
def test_auc_and_ks_agree_with_their_definitions(data: list[tuple[int, bool]]) -> None:
    risks, bads = [float(risk) for risk, _ in data], [bad for _, bad in data]
    assume(0 < sum(bads) < len(bads))
    bad = [risk for risk, is_bad in zip(risks, bads, strict=True) if is_bad]
    good = [risk for risk, is_bad in zip(risks, bads, strict=True) if not is_bad]
    pairs = [(b > g) + 0.5 * (b == g) for b in bad for g in good]
    assert validation.auc(risks, bads) == pytest.approx(sum(pairs) / len(pairs))
    gaps = [abs(sum(g <= t for g in good) / len(good) - sum(b <= t for b in bad) / len(bad)) for t in range(13)]
    assert validation.ks(risks, bads) == pytest.approx(max(gaps))


@settings(max_examples=60, deadline=None)
@given(scores)
def test_auc_and_ks_do_not_feel_a_monotone_transform(data: list[tuple[int, bool]]) -> None:
    risks, bads = [float(risk) for risk, _ in data], [bad for _, bad in data]
    assume(0 < sum(bads) < len(bads))
    bent = [exp(risk / 3) - 7 for risk in risks]
    assert validation.auc(bent, bads) == validation.auc(risks, bads)
    assert validation.ks(bent, bads) == validation.ks(risks, bads)
    assert validation.auc([-risk for risk in risks], bads) == pytest.approx(1 - validation.auc(risks, bads))


def test_log_loss_survives_extreme_odds() -> None:
    assert validation.log_loss([0.0, 0.0], [True, False]) == pytest.approx(log(2))
    assert validation.log_loss([1000.0, -1000.0], [True, False]) == pytest.approx(1000)


def test_the_calibration_slope_of_true_odds_is_one_and_of_doubled_odds_a_half() -> None:
    chance = Random(3)
    odds = [chance.gauss(1, 1.5) for _ in range(4000)]
    bads = [chance.random() < 1 / (1 + exp(z)) for z in odds]
    slope = validation.calibration_slope(odds, bads)
    assert isclose(slope, 1, abs_tol=0.1)
    assert validation.calibration_slope([2 * z for z in odds], bads) == pytest.approx(slope / 2, rel=1e-6)


def test_the_nadeau_bengio_interval_is_wider_than_the_naive_one() -> None:
    values = [0.8 + 0.01 * (number % 11) for number in range(50)]
    found = validation.nadeau_bengio(values, 5)
    mean = sum(values) / 50
    deviation = (sum((value - mean) ** 2 for value in values) / 49) ** 0.5
    assert found.mean == pytest.approx(mean)
    assert found.high - found.mean == pytest.approx(2.009575 * deviation * (1 / 50 + 1 / 4) ** 0.5)


def test_student_quantile_is_the_libraries() -> None:
    for freedom, quantile in validation.STUDENT_975.items():
        assert quantile == pytest.approx(stats.t.ppf(0.975, freedom), abs=5e-7)


def test_the_bootstrap_is_seeded_and_encloses_its_mean() -> None:
    risks = [float(number % 17) for number in range(60)]
    bads = [number % 17 > 11 or number % 7 == 0 for number in range(60)]
    first = validation.bootstrap(validation.auc, [risks], bads, draws=200, seed=4)
    assert first == validation.bootstrap(validation.auc, [risks], bads, draws=200, seed=4)
    assert first.low < first.mean < first.high
    assert first.mean == validation.auc(risks, bads)
