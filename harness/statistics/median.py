"""The median of repeated measurements, and an interval for it that no outlier can move far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import binom


@dataclass(frozen=True, kw_only=True)
class MedianInterval:
    """A median with its interval, in the unit of the values.

    Args:
        median: the middle of the values.
        low: lower end of the interval.
        high: upper end.
        coverage: how sure it is that the interval holds the true median; of few values less than was asked for.
    """

    median: float
    low: float
    high: float
    coverage: float


def describe_median(values: Sequence[float], level: float = 0.95) -> MedianInterval:
    """The median, between the two order statistics that hold the true one with the least probability of ``level``.

    Source: Conover 1999, "Practical Nonparametric Statistics", 3rd edition, section 3.2.

    Args:
        values: (n,) float, independent measurements of one quantity, n at least 1.
        level: the coverage that is asked for. The widest interval, from least to greatest, covers ``1 - 2 ** (1 - n)``;
            where that is less, it is taken.
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    count = len(ordered)
    # How many values may be left out on each side.
    out = max((k for k in range((count + 1) // 2) if _coverage(count, k) >= level), default=0)
    return MedianInterval(
        median=float(np.median(ordered)),
        low=float(ordered[out]),
        high=float(ordered[count - 1 - out]),
        coverage=_coverage(count, out),
    )


def _coverage(count: int, out: int) -> float:
    return float(1 - 2 * binom.cdf(out, count, 0.5))
