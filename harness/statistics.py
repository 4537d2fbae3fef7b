"""Paired statistics over rows: pure functions, numpy in, dataclasses out.

The one assumption is that under "no difference" each row's delta is as likely positive as negative. Nothing is assumed
of the shape of the scores.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Deltas = NDArray[np.float64]
Alternative = Literal["two-sided", "greater", "less"]

POWER = 0.8
"""The power at which the smallest detectable effect is stated."""
BLOCK = 256
"""Sign flips drawn at a time. Each block has a seed of its own, so results do not depend on how work is divided."""
MINIMUM_ROWS = 6
"""Fewer rows can reach 5 % in no two-sided test: 2 of 2^5 flips are more."""
TIE = 1e-9
"""Statistics closer than this are equal: sums in another order differ in their last bits."""


@dataclass(frozen=True, kw_only=True)
class PairedTest:
    """What a sign-flip test over several metrics found.

    Args:
        p: for each metric its p-value, adjusted for testing all metrics together.
        critical: the value that the largest standardised statistic exceeds by chance with probability ``level``;
            infinite where the rows are too few to ever reach that level.
    """

    p: tuple[float, ...]
    critical: float


def sign_flip_test(
    deltas: Deltas, *, alternative: Alternative, level: float = 0.05, flips: int = 10_000, seed: int = 0
) -> PairedTest:
    """Test whether rows moved, for several metrics at once, by flipping the signs of whole rows.

    Each metric's statistic is standardised, z = sum / sqrt(sum of squares); its p-value is the share of flips whose
    largest z over *all* metrics reaches it (single-step max-T, or min-T for "less"), which holds the family-wise error.
    Up to ``log2(flips)`` rows every flip is tried and the p-values are exact.

    Args:
        deltas: (rows, metrics) float64, candidate less reference.
        alternative: "greater" asks for gains, "less" for losses, "two-sided" for either.
        level: the family-wise error that ``critical`` belongs to.
        flips: how many random flips.
        seed: decides the flips.

    Source: Westfall and Young 1993, "Resampling-Based Multiple Testing", section 2.5 (single-step max-T); sign flips as
    in Fisher 1935, "The Design of Experiments", section 21.
    """
    rows, metrics = deltas.shape
    scale = np.sqrt((deltas**2).sum(axis=0))
    unit = np.divide(deltas, scale, out=np.zeros_like(deltas), where=scale > 0)
    observed = _directed(unit.sum(axis=0), alternative)
    exact = _is_exact(rows, flips)
    largest = np.concatenate(
        [_directed(signs @ unit, alternative).max(axis=1) for signs in _sign_blocks(rows, flips, seed)]
    )
    reached = (largest[:, None] >= observed[None, :] - TIE).sum(axis=0)
    p = reached / len(largest) if exact else (reached + 1) / (len(largest) + 1)
    moved = scale > 0
    return PairedTest(
        p=tuple(float(value) if moved[metric] else 1.0 for metric, value in enumerate(p[:metrics])),
        critical=_critical_value(largest, level, rows, metrics, exact=exact),
    )


def confidence_interval(
    deltas: NDArray[np.float64], *, level: float = 0.05, flips: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """The interval that the sign-flip test of one metric does not reject, at ``1 - level``.

    Its ends are order statistics of the means of random subsets of rows, so it needs no search and no normality.

    Args:
        deltas: (rows,) float64.
        level: the share of intervals that may miss.
        flips: how many random subsets.
        seed: decides the subsets.

    Returns:
        Lower and upper end; infinite where the rows are too few.

    Source: Hartigan 1969, "Using Subsample Values as Typical Values", JASA 64.
    """
    means = []
    for signs in _sign_blocks(len(deltas), flips, seed):
        chosen = (1 - signs) / 2
        counts = chosen.sum(axis=1)
        means.append((chosen @ deltas)[counts > 0] / counts[counts > 0])
    typical = np.sort(np.concatenate(means))
    outside = math.floor(level / 2 * (len(typical) + 1) + TIE)
    if outside == 0:
        return -math.inf, math.inf
    return float(typical[outside - 1]), float(typical[-outside])


def detectable_effect(deltas: Deltas, critical: float) -> tuple[float, ...]:
    """For each metric the smallest true mean delta that the test finds with 80 % power, in the metric's unit.

    Infinite where the rows are too few, or where no row moved and so nothing is known of their spread.

    Args:
        deltas: (rows, metrics) float64.
        critical: the critical value of the test, see `PairedTest`.

    Source: Bloom 1995, "Minimum Detectable Effects", Evaluation Review 19, with the test's own critical value, turned
    from the scale of z into that of t, in place of the normal one.
    """
    rows = len(deltas)
    if rows <= critical**2:
        return (math.inf,) * int(deltas.shape[1])
    errors = deltas.std(axis=0, ddof=1) / math.sqrt(rows)
    effects = errors * (_as_t(critical, rows) + _power_quantile())
    return tuple(float(effect) if effect > 0 else math.inf for effect in effects)


def rows_needed(deltas: NDArray[np.float64], critical: float, effect: float) -> int:
    """How many rows would detect ``effect`` (in the metric's unit) with 80 % power, judged by the rows at hand.

    Args:
        deltas: (rows,) float64.
        critical: the critical value of the test; a normal one is used where it is infinite.
        effect: the true mean delta to detect, above 0.
    """
    if math.isinf(critical):
        critical = statistics.NormalDist().inv_cdf(0.975)
    spread = float(deltas.std(ddof=1)) if len(deltas) > 1 else 0.0
    return max(MINIMUM_ROWS, math.ceil((spread * (critical + _power_quantile()) / effect) ** 2))


def _as_t(z: float, rows: int) -> float:
    """The t statistic of rows whose z (sum over root of the sum of squares) is ``z``; z cannot pass sqrt(rows)."""
    return z * math.sqrt((rows - 1) / (rows - z**2))


def _power_quantile() -> float:
    return statistics.NormalDist().inv_cdf(POWER)


def _directed(statistic: NDArray[np.float64], alternative: Alternative) -> NDArray[np.float64]:
    """The statistic turned so that large speaks for the alternative."""
    if alternative == "two-sided":
        return np.abs(statistic)
    return statistic if alternative == "greater" else -statistic


def _critical_value(largest: NDArray[np.float64], level: float, rows: int, metrics: int, *, exact: bool) -> float:
    """The smallest value that at most ``level`` of the flips reach; infinite where no rows like these can reach it.

    Where almost all deltas are 0, the flips of the few others tie and show no such value. What other rows could show is
    then judged by the normal distribution, with Bonferroni's correction.
    """
    if 2.0 ** (1 - rows) > level:
        return math.inf
    ordered = np.sort(largest)[::-1]
    allowed = math.floor(level * len(ordered) + TIE) if exact else math.floor(level * (len(ordered) + 1) + TIE) - 1
    above = ordered[:allowed]
    # A value that ties with the first one that is not allowed would be reached too often.
    inside = above[above > ordered[allowed] + TIE]
    return float(inside[-1]) if len(inside) else statistics.NormalDist().inv_cdf(1 - level / (2 * metrics))


def _is_exact(rows: int, flips: int) -> bool:
    return rows < flips.bit_length()


def _sign_blocks(rows: int, flips: int, seed: int) -> Iterator[NDArray[np.float64]]:
    """Sign vectors of -1 and 1, as (block, rows) float64: all of them where that is less than ``flips``."""
    if _is_exact(rows, flips):
        patterns = np.arange(2**rows)[:, None] >> np.arange(rows) & 1
        yield _as_signs(patterns)
        return
    for start in range(0, flips, BLOCK):
        size = min(BLOCK, flips - start)
        generator = np.random.Generator(np.random.PCG64(np.random.SeedSequence((seed, start))))
        raw = np.frombuffer(generator.bytes(size * ((rows + 7) // 8)), dtype=np.uint8).reshape(size, -1)
        yield _as_signs(np.unpackbits(raw, axis=1)[:, :rows])


def _as_signs(bits: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """0 becomes 1, and 1 becomes -1."""
    return 1.0 - 2.0 * bits.astype(np.float64)
