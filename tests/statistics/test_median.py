"""The interval of a median covers as often as it says."""

from __future__ import annotations

import numpy as np
import pytest

from harness.statistics.median import describe_median


@pytest.mark.parametrize(("count", "coverage"), [(1, 0.0), (5, 0.9375), (7, 0.984375), (20, 0.958611)])
def test_coverage_is_known(count: int, coverage: float) -> None:
    """The textbook's numbers; of fewer than six values 95 % cannot be had, and all of them is what there is."""
    found = describe_median(list(range(count)))
    assert found.coverage == pytest.approx(coverage, abs=1e-6)
    assert found.median == (count - 1) / 2
    assert found.low + found.high == count - 1


def test_the_true_median_is_covered() -> None:
    """Of 2,000 samples of a skewed quantity the share that is covered is what is claimed, within chance."""
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(2_000):
        found = describe_median(generator.exponential(size=15).tolist())
        covered += found.low <= np.log(2) <= found.high
    assert covered / 2_000 == pytest.approx(found.coverage, abs=0.015)
