"""The first question: can this many rows decide at all?"""

from __future__ import annotations

import math
import statistics

import numpy as np
from numpy.typing import NDArray

from harness.statistics.flips import TIE

POWER = 0.8
"""The power at which the smallest detectable effect is stated."""
Floats = NDArray[np.float64]


def can_decide(rows: int, level: float) -> bool:
    """Whether any result of this many rows could reach the level in a two-sided test: 2 of 2^rows flips must do.

    Example:
        >>> [can_decide(rows, level=0.05) for rows in (5, 6)]
        [False, True]
    """
    return 2.0 ** (1 - rows) <= level


def are_alike(deltas: Floats) -> bool:
    """Whether all rows have one delta, which tells nothing of their spread.

    Args:
        deltas: (rows,) float64, at least one row.
    """
    return float(np.ptp(deltas)) <= TIE


def detectable_effect(deltas: Floats, critical: float) -> tuple[float, ...]:
    """For each metric the smallest true mean delta that the test finds with 80 % power, in the metric's unit.

    Infinite where the rows are too few, or where all rows moved alike and so nothing is known of their spread.

    Args:
        deltas: (rows, metrics) float64.
        critical: the critical value of the test, see `Flips.critical_value`.

    Source: Bloom 1995, "Minimum Detectable Effects", Evaluation Review 19, with the test's own critical value, turned
    from the scale of z into that of t, in place of the normal one.
    """
    rows = len(deltas)
    if rows <= critical**2:
        return (math.inf,) * int(deltas.shape[1])
    # z = sum / root of the sum of squares cannot pass sqrt(rows); t can.
    as_t = critical * math.sqrt((rows - 1) / (rows - critical**2))
    return tuple(
        math.inf if are_alike(column) else float(column.std(ddof=1)) / math.sqrt(rows) * (as_t + power_quantile())
        for column in deltas.T
    )


def rows_needed(deltas: Floats, critical: float, effect: float, level: float) -> int:
    """How many rows would detect ``effect`` (in the metric's unit) with 80 % power, judged by the rows at hand.

    Args:
        deltas: (rows,) float64.
        critical: the critical value of the test; a normal one is used where it is infinite.
        effect: the true mean delta to detect, above 0.
        level: the level of the test.
    """
    if math.isinf(critical):
        critical = statistics.NormalDist().inv_cdf(1 - level / 2)
    spread = float(deltas.std(ddof=1)) if len(deltas) > 1 else 0.0
    fewest = 1 + math.ceil(math.log2(1 / level))
    return max(fewest, math.ceil((spread * (critical + power_quantile()) / effect) ** 2))


def power_quantile() -> float:
    """How many standard errors above the critical value an effect must lie to be found with 80 % power."""
    return statistics.NormalDist().inv_cdf(POWER)
