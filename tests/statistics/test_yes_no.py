"""Metrics of yes and no: the exact test against scipy's and against the flips, the interval against its promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from harness.statistics import Alternative, draw_flips, is_yes_no
from harness.statistics.yes_no import mcnemar, score_interval, score_test

ALTERNATIVES: tuple[Alternative, ...] = ("two-sided", "greater", "less")
COUNTS = st.integers(0, 40)


def sides(gains: int, losses: int, same: int) -> np.ndarray:
    return np.array([100.0] * gains + [-100.0] * losses + [0.0] * same)


@given(COUNTS, COUNTS, COUNTS, st.sampled_from(ALTERNATIVES))
def test_exact_p_is_the_binomial_one(gains: int, losses: int, same: int, alternative: Alternative) -> None:
    """McNemar's exact p is scipy's binomial test over the rows that changed sides."""
    expected = binomtest(gains, gains + losses, alternative=alternative).pvalue if gains + losses else 1.0
    assert mcnemar(sides(gains, losses, same), alternative) == pytest.approx(expected)


@pytest.mark.parametrize("alternative", ALTERNATIVES)
@given(st.integers(0, 6), st.integers(0, 6))
def test_flips_of_yes_and_no_are_mcnemars_test(alternative: Alternative, gains: int, losses: int) -> None:
    """With every flip tried, the sign-flip test gives the same p: one and the same test."""
    deltas = sides(gains, losses, 1)
    flips = draw_flips(deltas[:, None], flips=10_000)
    if gains + losses:
        assert flips.p_values(alternative)[0] == pytest.approx(mcnemar(deltas, alternative))


def test_thousands_of_changed_rows_do_not_overflow() -> None:
    """2^6000 is no float; the p-value of 3,100 against 2,900 is, and scipy agrees."""
    assert mcnemar(sides(3_100, 2_900, 0), "greater") == pytest.approx(
        binomtest(3_100, 6_000, alternative="greater").pvalue
    )


@given(COUNTS, COUNTS, st.integers(1, 60))
def test_interval_holds_what_the_score_test_does_not_reject(gains: int, losses: int, same: int) -> None:
    """Both ends are where the score test turns, and the difference seen lies between."""
    deltas = sides(gains, losses, same)
    low, high = score_interval(deltas, 0.05)
    assert low <= deltas.mean() <= high
    assert low < high
    for inside, outside in ((low + 0.01, low - 0.01), (high - 0.01, high + 0.01)):
        assert score_test(deltas, "two-sided", inside) > 0.05
        if abs(outside) < 100:
            assert score_test(deltas, "two-sided", outside) < 0.05


def test_score_test_of_no_difference_is_mcnemars_statistic() -> None:
    """At a difference of 0 Tango's z is (gains - losses) / sqrt(gains + losses)."""
    z = (25 - 10) / math.sqrt(35)
    assert score_test(sides(25, 10, 65), "greater", 0.0) == pytest.approx(0.5 * math.erfc(z / math.sqrt(2)))


@pytest.mark.parametrize(("rows", "gain", "loss"), [(20, 0.1, 0.1), (50, 0.3, 0.05), (200, 0.02, 0.02)])
def test_interval_covers_the_truth(rows: int, gain: float, loss: float) -> None:
    """95 % intervals hold the true difference in at least 93 % of 2,000 trials, also where few rows change sides."""
    rng = np.random.default_rng(rows)
    values = rng.choice([100.0, -100.0, 0.0], p=[gain, loss, 1 - gain - loss], size=(2_000, rows))
    ends = [score_interval(deltas, 0.05) for deltas in values]
    assert np.mean([low <= 100 * (gain - loss) <= high for low, high in ends]) > 0.93


def test_no_change_in_twenty_rows_leaves_room() -> None:
    """Where nothing changed the interval is that of Wilson for 0 of 20: up to 16.1 points either way."""
    low, high = score_interval(np.zeros(20), 0.05)
    wilson = 100 * 1.959964**2 / (20 + 1.959964**2)
    assert (low, high) == pytest.approx((-wilson, wilson), abs=0.01)


@pytest.mark.parametrize(
    ("scores", "found"), [([0, 100, 100], True), ([0, 0, 0], False), ([0, 50, 100], False), ([100, 100], True)]
)
def test_yes_and_no_is_detected(scores: list[int], found: bool) -> None:  # noqa: FBT001 - an expected value
    """Scores of 0 and 100 only, and at least one 100: a metric that found nothing is no metric of yes and no."""
    assert is_yes_no(np.array(scores, dtype=np.float64)) is found
