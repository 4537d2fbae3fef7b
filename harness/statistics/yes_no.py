"""Metrics of yes and no, as exact match: every row scores 0 or 100, so only the rows that changed sides count."""

from __future__ import annotations

import math
import statistics

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr

from harness.statistics.flips import Alternative

Floats = NDArray[np.float64]
NO, YES = 0.0, 100.0
BISECTIONS = 60


def is_yes_no(*scores: Floats) -> bool:
    """Whether all scores are 0 or 100; all 0 may as well be a metric that found nothing, so it takes one 100."""
    return all(bool(((some == NO) | (some == YES)).all()) for some in scores) and any(
        bool((some == YES).any()) for some in scores
    )


def mcnemar(deltas: Floats, alternative: Alternative) -> float:
    """The exact p-value of McNemar's test: of the rows that changed sides, each way is as likely as the other.

    Args:
        deltas: (rows,) float64, each -100, 0 or 100.
        alternative: "greater" asks for gains, "less" for losses, "two-sided" for either.

    Source: McNemar 1947, "Note on the sampling error of the difference between correlated proportions", Psychometrika
    12; its exact form as in Conover 1999, "Practical Nonparametric Statistics", section 3.5.

    Example:
        >>> deltas = np.array([100.0] * 9 + [-100.0] + [0.0] * 40)
        >>> round(mcnemar(deltas, "two-sided"), 4)
        0.0215
    """
    gains, losses = int((deltas > 0).sum()), int((deltas < 0).sum())
    changed = gains + losses
    fewer = {"greater": losses, "less": gains, "two-sided": min(gains, losses)}[alternative]
    return min(1.0, float(bdtr(fewer, changed, 0.5)) * (2 if alternative == "two-sided" else 1))


def score_test(deltas: Floats, alternative: Alternative, mean: float) -> float:
    """The p-value of "the true mean delta is ``mean``", at most or at least by the alternative.

    Args:
        deltas: (rows,) float64, each -100, 0 or 100.
        alternative: "greater" asks whether the true mean lies above, "less" whether it lies below.
        mean: in percent points, above -100 and below 100.

    Source: Tango 1998, "Equivalence test and confidence interval for the difference in proportions for the
    paired-sample design", Statistics in Medicine 17, section 2.
    """
    z = _tango(int((deltas > 0).sum()), int((deltas < 0).sum()), len(deltas), mean / 100)
    beyond = statistics.NormalDist().cdf
    return {"greater": beyond(-z), "less": beyond(z), "two-sided": 2 * beyond(-abs(z))}[alternative]


def score_interval(deltas: Floats, level: float) -> tuple[float, float]:
    """The mean deltas that `score_test` does not reject, at ``1 - level``, in percent points.

    Unlike an interval over the deltas it is never nothing wide: that no row of 20 changed leaves room for some that do.
    """
    gains, losses, rows = int((deltas > 0).sum()), int((deltas < 0).sum()), len(deltas)
    if rows == 0:
        return -math.inf, math.inf
    bound = statistics.NormalDist().inv_cdf(1 - level / 2)
    seen = (gains - losses) / rows
    ends = []
    for direction in (-1.0, 1.0):
        inside, outside = seen, direction
        for _ in range(BISECTIONS):
            middle = (inside + outside) / 2
            if abs(_tango(gains, losses, rows, middle)) < bound:
                inside = middle
            else:
                outside = middle
        ends.append(100 * inside)
    return ends[0], ends[1]


def _tango(gains: int, losses: int, rows: int, difference: float) -> float:
    """Tango's z: the difference of the proportions seen, less the one asked about, in its own standard errors."""
    a = 2 * rows
    b = -gains - losses + (2 * rows - gains + losses) * difference
    c = -losses * difference * (1 - difference)
    share = (math.sqrt(max(b * b - 4 * a * c, 0.0)) - b) / (2 * a)
    variance = rows * (2 * share + difference * (1 - difference))
    distance = gains - losses - rows * difference
    if variance <= 0:
        return math.copysign(math.inf, distance) if distance else 0.0
    return distance / math.sqrt(variance)
