"""Scores of a set whose rows all have one share: the interval is never nothing wide."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.classes import macro_f1
from harness.statistics import Evidence
from harness.statistics.jackknife import share_of_sums
from harness.statistics.yes_no import score_interval

ROWS = (*zip("ABC", "BCA", "CAB", strict=True), *zip("ABC", "ABC", "ABC", strict=True))
"""What is meant, what the candidate says and what the other says: they err in the same rows, each in its own way."""


def count(meant: list[str], said: list[str]) -> np.ndarray:
    """(rows, labels, 3) float64, what `macro_f1` sums up."""
    labels = np.array(["A", "B", "C"])
    is_meant, is_said = (np.array(each)[:, None] == labels for each in (meant, said))
    return np.stack([is_meant & is_said, is_meant, is_said], axis=-1).astype(np.float64)


def err_elsewhere(times: int) -> tuple[np.ndarray, np.ndarray]:
    """The counts of two classifiers that are wrong in the same rows, with other labels."""
    meant, ours, theirs = zip(*ROWS * times, strict=True)
    return count(list(meant), list(ours)), count(list(meant), list(theirs))


def weigh(deltas: np.ndarray, *, point: float = 1.0, of_set: bool = True) -> Evidence:
    return Evidence(
        deltas=deltas[:, None, None], yes_no=(False,), of_set=(of_set,), level=0.05, flips=10_000, points=(point,)
    )


@pytest.mark.parametrize("times", [2, 10, 40])
def test_interval_holds_what_a_resample_of_the_rows_gives(times: int) -> None:
    """Every share is equal, other rows would still score otherwise, and the interval holds the paired bootstrap's."""
    ours, theirs = err_elsewhere(times)
    deltas = share_of_sums(ours, macro_f1) - share_of_sums(theirs, macro_f1)
    assert np.abs(deltas).max() < 1e-9
    drawn = np.random.default_rng(0).integers(0, len(ours), (2_000, len(ours)))
    resampled = macro_f1(ours[drawn].sum(axis=1)) - macro_f1(theirs[drawn].sum(axis=1))
    assert resampled.std() > 1e-3
    low, high = weigh(deltas).interval(0)
    assert low <= np.quantile(resampled, 0.025) < 0 < np.quantile(resampled, 0.975) <= high


@given(rows=st.integers(6, 400), delta=st.floats(-100, 100), point=st.floats(0.01, 100))
def test_interval_is_never_nothing_wide(rows: int, delta: float, point: float) -> None:
    """It holds the delta, has a width, and ends where all rows would have moved by 100 points."""
    low, high = weigh(np.full(rows, delta * point), point=point).interval(0)
    assert low - 1e-9 <= delta * point <= high + 1e-9
    assert high - low > point / 10
    assert -100 * point - 1e-9 <= low <= high <= 100 * point + 1e-9


@pytest.mark.parametrize("rows", [20, 200, 2_000])
def test_rows_alike_leave_the_room_that_yes_and_no_leaves(rows: int) -> None:
    """Of rows that did not move, the interval is about as wide as the score interval of yes and no."""
    low, high = weigh(np.zeros(rows)).interval(0)
    assert (low, high) == pytest.approx(score_interval(np.zeros(rows), 0.05), rel=0.1)


def test_rows_needed_narrow_the_interval() -> None:
    """Of rows that are alike, so many exclude the effect, and one fewer does not."""
    needed = weigh(np.zeros(50)).rows_needed(0, 1.0)
    assert needed is not None
    assert weigh(np.zeros(needed)).interval(0)[1] < 1.0
    assert weigh(np.zeros(needed - 1)).interval(0)[1] >= 1.0


def test_a_mean_over_rows_keeps_its_own_interval() -> None:
    """No resample of rows that did not move can move a mean: its interval is what the flips say."""
    assert weigh(np.zeros(50), of_set=False).interval(0) == (0, 0)
