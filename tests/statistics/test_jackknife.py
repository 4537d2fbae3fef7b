"""Jackknife shares: their mean is the score of the set, and a plain mean stays what it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from harness.statistics import share_by_row, share_of_sums

SCORES = hnp.arrays(np.float64, st.integers(1, 40), elements=st.floats(-100, 100, width=32))
COUNTS = hnp.arrays(np.float64, st.tuples(st.integers(1, 40), st.just(2)), elements=st.integers(0, 50))


def ratio(sums: np.ndarray) -> np.ndarray:
    return 100 * sums[:, 0] / np.maximum(sums[:, 1], 1)  # type: ignore[no-any-return]


@given(SCORES, st.floats(-100, 100))
def test_mean_of_shares_is_the_whole(without: np.ndarray, whole: float) -> None:
    """Whatever the scores without each row are, the shares average to the score of the set."""
    assert share_by_row(whole, without).mean() == pytest.approx(whole, abs=1e-9)


@given(SCORES)
def test_of_a_mean_the_shares_are_the_row_scores(scores: np.ndarray) -> None:
    """A plain mean over rows gives each row its own score back."""
    without = (scores.sum() - scores) / max(len(scores) - 1, 1)
    assert share_by_row(float(scores.mean()), without) == pytest.approx(scores, abs=1e-9)


@given(COUNTS)
def test_shares_of_sums_leave_out_one_row_each(counts: np.ndarray) -> None:
    """The quick way over summed counts is the slow one: score the set again without each row."""
    whole = float(ratio(counts.sum(axis=0)[None])[0])
    without = np.array([ratio(np.delete(counts, row, axis=0).sum(axis=0)[None])[0] for row in range(len(counts))])
    assert share_of_sums(counts, ratio) == pytest.approx(share_by_row(whole, without), abs=1e-9)
    assert share_of_sums(counts, ratio).mean() == pytest.approx(whole, abs=1e-9)


def test_known_answer_by_hand() -> None:
    """Of 3 of 4 and 0 of 4 the whole is 37.5; without one row 0, without the other 75: shares 75 and 0."""
    assert share_of_sums(np.array([[3.0, 4.0], [0.0, 4.0]]), ratio).tolist() == [75.0, 0.0]


def test_a_row_that_does_not_matter_has_the_share_of_the_whole() -> None:
    """Where no row changes anything, all have the same share."""
    assert share_by_row(40.0, np.full(5, 40.0)).tolist() == [40.0] * 5
