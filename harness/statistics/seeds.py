"""Rows crossed with seeds: a gain must hold for other rows and for other seeds of training."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from harness.statistics.flips import Alternative

Floats = NDArray[np.float64]
BISECTIONS = 60


@dataclass(frozen=True, kw_only=True)
class Crossed:
    """The mean of one metric's deltas, and how far chance in rows and in seeds may move it.

    Args:
        mean: over rows and seeds, in the metric's unit.
        rows: how many rows.
        seeds: how many seeds.
        row_error: the standard error that comes from the rows.
        seed_error: the standard error that comes from the seeds.
    """

    mean: float
    rows: int
    seeds: int
    row_error: float
    seed_error: float

    def reach(self, tail: float) -> float:
        """How far from the mean the truth lies with probability ``tail`` at most, on one side.

        Both errors are taken at the quantile of their own degrees of freedom, so two or three seeds, whose scatter says
        little of that of all seeds, are not trusted more than they deserve.

        Source: Howe 1974, "Approximate Confidence Limits on the Mean of X + Y Where X and Y Are Two Tabled Independent
        Random Variables", JASA 69.
        """
        by_rows = self.row_error * float(stdtrit(self.rows - 1, 1 - tail))
        by_seeds = self.seed_error * float(stdtrit(self.seeds - 1, 1 - tail))
        return math.hypot(by_rows, by_seeds)

    def p_value(self, alternative: Alternative, *, shift: float = 0.0) -> float:
        """Whether the mean, after adding ``shift``, could be chance: the tail whose reach ends there."""
        moved = self.mean + shift
        low, high = 0.0, 0.5
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.reach(middle) >= abs(moved) else (low, middle)
        if alternative == "two-sided":
            return 2 * high
        return high if (moved > 0) == (alternative == "greater") else 1 - high


def cross(deltas: Floats) -> Crossed:
    """Take both the rows and the seeds as draws from many.

    What row and seed add together is counted with both, which errs on the safe side.

    Args:
        deltas: (rows, seeds) float64, at least 2 of each.

    Source: Clark 1973, "The Language-as-Fixed-Effect Fallacy", Journal of Verbal Learning and Verbal Behavior 12: the
    two sources of error of his min F'.
    """
    rows, seeds = deltas.shape
    return Crossed(
        mean=float(deltas.mean()),
        rows=rows,
        seeds=seeds,
        row_error=float(deltas.mean(axis=1).std(ddof=1)) / math.sqrt(rows),
        seed_error=float(deltas.mean(axis=0).std(ddof=1)) / math.sqrt(seeds),
    )
