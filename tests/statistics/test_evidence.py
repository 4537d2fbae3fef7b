"""The test that fits each metric is the one that answers."""

from __future__ import annotations

import numpy as np
import pytest

from harness.statistics import Evidence, draw_flips
from harness.statistics.yes_no import mcnemar, score_interval


def weigh(*columns: np.ndarray, yes_no: tuple[bool, ...]) -> Evidence:
    return Evidence(deltas=np.stack(columns, axis=1)[:, None, :], yes_no=yes_no, level=0.05, flips=10_000)


SIDES = np.array([100.0] * 14 + [-100.0] * 4 + [0.0] * 82)
SCORES = np.random.default_rng(0).normal(0.1, 5, 100)


def test_yes_and_no_alone_is_tested_exactly() -> None:
    """One metric of yes and no: McNemar's exact p and the score interval."""
    evidence = weigh(SIDES, yes_no=(True,))
    assert evidence.p_values("two-sided") == (mcnemar(SIDES, "two-sided"),)
    assert evidence.interval(0) == score_interval(SIDES, 0.05)


def test_interval_of_yes_and_no_claims_no_more_than_the_exact_test() -> None:
    """Five gains and no loss: the exact test finds nothing (p = 0.0625), so the interval holds 0."""
    deltas = np.array([100.0] * 5 + [0.0] * 5)
    assert score_interval(deltas, 0.05)[0] > 0
    assert weigh(deltas, yes_no=(True,)).interval(0)[0] == 0
    assert weigh(deltas[:5], yes_no=(True,)).interval(0) == (-np.inf, np.inf)


def test_yes_and_no_among_others_shares_their_error() -> None:
    """Beside another metric it is tested by the same flips, adjusted for both."""
    evidence = weigh(SIDES, SCORES, yes_no=(True, False))
    expected = draw_flips(np.c_[SIDES, SCORES], flips=10_000).p_values("less")
    assert evidence.p_values("less") == pytest.approx(expected.tolist())
    assert evidence.p_values("greater")[0] > mcnemar(SIDES, "greater")


def test_allowance_for_yes_and_no_is_judged_by_the_score_test() -> None:
    """A fall of 10 points in 100 rows is more than 1 point and not more than 20."""
    evidence = weigh(-SIDES, SCORES, yes_no=(True, False))
    assert evidence.p_values("less", shift=1.0)[0] < 0.05
    assert evidence.p_values("less", shift=20.0)[0] > 0.9
