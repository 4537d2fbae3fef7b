"""Rows crossed with seeds: Student's t against scipy, and a gain that must survive seed noise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from harness.statistics import Evidence
from harness.statistics.seeds import cross


def crossed_deltas(
    rng: np.random.Generator, rows: int, seeds: int, *, gain: float, row_noise: float, seed_noise: float
) -> np.ndarray:
    """(rows, seeds, 1): a gain, what a row adds, what a seed adds, and what both together add."""
    return np.asarray(
        gain
        + rng.normal(0, row_noise, (rows, 1, 1))
        + rng.normal(0, seed_noise, (1, seeds, 1))
        + rng.normal(0, 3, (rows, seeds, 1))
    )


def weigh(deltas: np.ndarray) -> Evidence:
    return Evidence(deltas=deltas, yes_no=(False,) * deltas.shape[2], level=0.05, flips=1_000)


@pytest.mark.parametrize("seeds", [2, 3, 5])
def test_seed_noise_is_not_taken_for_a_gain(seeds: int) -> None:
    """Seeds that scatter by 2 points around no gain: rows alone cry gain often, rows and seeds in at most 5 %."""
    rng = np.random.default_rng(seeds)
    trials = 400
    alarms = of_rows = 0
    for _ in range(trials):
        evidence = weigh(crossed_deltas(rng, 200, seeds, gain=0, row_noise=5, seed_noise=2))
        alarms += evidence.p_values("two-sided")[0] <= 0.05
        of_rows += weigh(evidence.deltas[:, :1]).p_values("two-sided")[0] <= 0.05
    assert of_rows / trials > 0.3
    assert alarms / trials <= 0.05 + 3.3 * math.sqrt(0.05 * 0.95 / trials)


def test_best_of_many_seeds_does_not_win() -> None:
    """One seed of five is 8 points better and the others are nothing: no gain."""
    deltas = np.random.default_rng(1).normal(0, 1, (200, 5, 1))
    deltas[:, 2] += 8
    evidence = weigh(deltas)
    assert evidence.p_values("greater")[0] > 0.05
    assert evidence.interval(0)[0] < 0 < evidence.interval(0)[1]


def test_a_real_gain_survives() -> None:
    """A gain well above the noise of three seeds is found in most trials, and the interval covers the truth."""
    rng = np.random.default_rng(2)
    trials = 200
    evidences = [weigh(crossed_deltas(rng, 200, 3, gain=5, row_noise=5, seed_noise=1)) for _ in range(trials)]
    assert np.mean([evidence.p_values("greater")[0] <= 0.05 for evidence in evidences]) > 0.8
    assert np.mean([low <= 5 <= high for low, high in (entry.interval(0) for entry in evidences)]) >= 0.93


def test_more_rows_do_not_help_where_seeds_hide_the_effect() -> None:
    """Seed noise of 5 points cannot be outvoted by rows; small seed noise can."""
    rng = np.random.default_rng(3)
    loud, quiet = (weigh(crossed_deltas(rng, 100, 3, gain=0, row_noise=5, seed_noise=noise)) for noise in (5.0, 0.0))
    assert loud.rows_needed(0, 2.0) is None
    needed = quiet.rows_needed(0, 2.0)
    assert needed is not None
    assert needed > 0
    assert loud.detectable[0] > 2 * quiet.detectable[0]


def test_error_is_that_of_both_sources() -> None:
    """Each source has the error of its own means."""
    deltas = np.random.default_rng(4).normal(0, 1, (30, 4))
    crossed = cross(deltas)
    assert crossed.row_error == pytest.approx(stats.sem(deltas.mean(axis=1)))
    assert crossed.seed_error == pytest.approx(stats.sem(deltas.mean(axis=0)))


def test_with_one_source_it_is_students_test() -> None:
    """Where seeds do not scatter it is the paired t-test over rows; where rows do not, the t-test over seeds."""
    values = np.random.default_rng(5).normal(0.4, 1, 12)
    for deltas in (np.tile(values[:, None], (1, 3)), np.tile(values, (40, 1))):
        for alternative in ("two-sided", "greater", "less"):
            expected = stats.ttest_1samp(values + 0.1, 0, alternative=alternative).pvalue
            assert cross(deltas).p_value(alternative, shift=0.1) == pytest.approx(expected)  # type: ignore[arg-type]
        low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
        assert cross(deltas).reach(0.025) == pytest.approx((high - low) / 2)


def test_equal_deltas_are_certain() -> None:
    """Without any scatter a difference is sure, and no difference is none."""
    assert cross(np.full((5, 2), 3.0)).p_value("greater") < 1e-15
    assert cross(np.full((5, 2), 3.0)).p_value("less") == 1
    assert cross(np.zeros((5, 2))).p_value("two-sided") == pytest.approx(1)
