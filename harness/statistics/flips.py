"""Sign flips: tests of paired deltas, for several metrics at once, and the intervals that belong to them.

The one assumption is that under "no difference" each row's delta is as likely positive as negative. Nothing is assumed
of the shape of the scores.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Alternative = Literal["two-sided", "greater", "less"]

BLOCK = 64
"""Flips that are in memory at a time; it changes no result."""
SPAN = 1 << 14
"""Rows that are in memory at a time, beside their deltas; whole words of 64. It changes no result."""
STRETCH = 1 << 14
"""Rows whose squares are in memory at a time."""
TIE = 1e-9
"""Statistics closer than this are equal: decimal scores are not exact in binary."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Flips:
    """The sums of random subsets of rows, from which every test and interval is read.

    Flipping the signs of a subset turns the sum T of all rows into T - 2 S, where S is the subset's sum. So one pass
    over the rows serves all directions, every shift, and the intervals.

    Args:
        deltas: (rows, ..., metrics) float64, on a binary grid fine enough for every sum to be exact.
        sums: (flips, ..., metrics) float64, the sum of each subset.
        counts: (flips,) float64, how many rows each subset has.
        exact: whether these are all subsets that there are.
    """

    deltas: Floats
    sums: Floats
    counts: Floats
    exact: bool

    def p_values(self, alternative: Alternative, *, shift: float | Floats = 0.0) -> Floats:
        """Test whether rows moved, for all metrics together.

        Each metric's statistic is standardised, z = sum / sqrt(sum of squares); its p-value is the share of flips whose
        largest z over *all* metrics reaches it (single-step max-T, or min-T for "less"), which holds the family-wise
        error. A metric of yes and no has McNemar's statistic so, with its exact conditional distribution.

        Args:
            alternative: "greater" asks for gains, "less" for losses, "two-sided" for either.
            shift: is added to each delta first, in the metric's unit; one for all metrics, or (metrics,).

        Returns:
            (..., metrics) float64, adjusted for testing all metrics together.

        Source: Westfall and Young 1993, "Resampling-Based Multiple Testing", section 2.5 (single-step max-T); sign
        flips as in Fisher 1935, "The Design of Experiments", section 21.
        """
        observed, largest = self._statistics(alternative, shift)
        reached = (largest[..., None] >= observed - TIE).sum(axis=0)
        p: Floats = reached / len(largest) if self.exact else (reached + 1) / (len(largest) + 1)
        return np.where(self._square(shift) > 0, p, 1.0)

    def first_metrics(self, count: int) -> Flips:
        """The same flips for the first metrics alone."""
        return replace(self, deltas=self.deltas[..., :count], sums=self.sums[..., :count])

    def critical_value(self, level: float) -> float:
        """The largest absolute z over all metrics that chance exceeds with probability ``level``.

        Infinite where so few rows can never reach it. Where almost all deltas are 0, the flips of the few others tie
        and show no such value; what other rows could show is then judged by the normal distribution, with Bonferroni's
        correction.
        """
        rows, metrics = self.deltas.shape
        if 2.0 ** (1 - rows) > level:
            return math.inf
        _, largest = self._statistics("two-sided", 0.0)
        ordered = np.sort(largest)[::-1]
        count = len(ordered)
        allowed = math.floor(level * count + TIE) if self.exact else math.floor(level * (count + 1) + TIE) - 1
        above = ordered[:allowed]
        # A value that ties with the first one that is not allowed would be reached too often.
        inside = above[above > ordered[allowed] + TIE]
        return float(inside[-1]) if len(inside) else statistics.NormalDist().inv_cdf(1 - level / (2 * metrics))

    def interval(self, metric: int, level: float) -> tuple[float, float]:
        """The mean deltas that the test of one metric does not reject, at ``1 - level``.

        Its ends are order statistics of the means of random subsets of rows, so it needs no search and no normality.

        Returns:
            Lower and upper end; infinite where the rows are too few.

        Source: Hartigan 1969, "Using Subsample Values as Typical Values", JASA 64.
        """
        some = self.counts > 0
        typical = np.sort(self.sums[some, metric] / self.counts[some])
        outside = math.floor(level / 2 * (len(typical) + 1) + TIE)
        if outside == 0:
            return -math.inf, math.inf
        return float(typical[outside - 1]), float(typical[-outside])

    def _square(self, shift: float | Floats) -> Floats:
        """Each metric's sum of squares."""
        total = np.zeros(self.deltas.shape[1:])
        for start in range(0, len(self.deltas), STRETCH):
            total += np.square(self.deltas[start : start + STRETCH] + shift).sum(axis=0)
        return total

    def _statistics(self, alternative: Alternative, shift: float | Floats) -> tuple[Floats, Floats]:
        """Each metric's z as (..., metrics), and the largest of each flip as (flips, ...)."""
        rows = len(self.deltas)
        scale = np.sqrt(self._square(shift))
        scale = np.where(scale > 0, scale, np.inf)
        total = self.deltas.sum(axis=0)
        unflipped = (rows - 2 * self.counts).reshape(-1, *[1] * (self.deltas.ndim - 1))
        observed = _directed((total + shift * rows) / scale, alternative)
        flipped = _directed((total - 2 * self.sums + shift * unflipped) / scale, alternative)
        return observed, flipped.max(axis=-1)


def draw_flips(deltas: Floats, *, flips: int, seed: int = 0) -> Flips:
    """Draw subsets of rows and sum up their deltas.

    Up to ``log2(flips)`` rows every subset is taken, and all that follows is exact. All sums are sums of whole numbers
    that float64 holds exactly, so neither the block nor the number of threads changes a bit of the result.

    Args:
        deltas: (rows, ..., metrics) float64, candidate less reference.
        flips: how many subsets.
        seed: decides the subsets.

    Example:
        >>> deltas = np.array([[3.0], [1.0], [2.0], [2.0], [4.0], [1.0]])
        >>> flips = draw_flips(deltas, flips=10_000)
        >>> flips.exact, float(flips.p_values("two-sided")[0])
        (True, 0.03125)
    """
    rows = len(deltas)
    whole, exponent = _to_whole_numbers(deltas.reshape(rows, -1))
    exact = rows < flips.bit_length()
    sums = np.zeros((2**rows if exact else flips, whole.shape[1] + 1))
    for start in range(0, rows, SPAN):
        span = whole[start : start + SPAN]
        counted = np.hstack([span, np.ones((len(span), 1))])
        subsets = _all_subsets(rows) if exact else _random_subsets(rows, flips, seed, start=start)
        for block, chosen in enumerate(subsets):
            sums[block * BLOCK : block * BLOCK + len(chosen)] += chosen @ counted
    return Flips(
        deltas=np.ldexp(whole, -exponent, out=whole).reshape(deltas.shape),
        sums=np.ldexp(sums[:, :-1], -exponent).reshape(len(sums), *deltas.shape[1:]),
        counts=sums[:, -1],
        exact=exact,
    )


def _to_whole_numbers(deltas: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """The deltas times a power of two for each column, rounded, so that all sums stay below 2^52; and the powers."""
    if not len(deltas):
        return deltas, np.zeros(deltas.shape[1], dtype=np.int64)
    _, magnitude = np.frexp(np.maximum(deltas.max(axis=0), -deltas.min(axis=0)))
    exponent = 52 - len(deltas).bit_length() - magnitude.astype(np.int64)
    whole = np.ldexp(deltas, exponent)
    return np.rint(whole, out=whole), exponent


def _directed(statistic: Floats, alternative: Alternative) -> Floats:
    """The statistic turned so that large speaks for the alternative."""
    if alternative == "two-sided":
        return np.abs(statistic)
    return statistic if alternative == "greater" else -statistic


def _all_subsets(rows: int) -> Iterator[Floats]:
    subsets = (np.arange(2**rows)[:, None] >> np.arange(rows) & 1).astype(np.float64)
    yield from (subsets[start : start + BLOCK] for start in range(0, len(subsets), BLOCK))


def _random_subsets(rows: int, flips: int, seed: int, *, start: int) -> Iterator[Floats]:
    """Memberships of 0 and 1 of the rows from ``start`` on, as (block, up to SPAN) float64.

    They come from one stream of 64-bit words, whole words a subset, in which other rows' words are passed over.
    """
    stream = np.random.PCG64(seed)
    words, count = (rows + 63) // 64, min(SPAN, rows - start)
    taken = (count + 63) // 64
    stream.advance(start // 64)
    for first in range(0, flips, BLOCK):
        subsets = min(BLOCK, flips - first)
        if taken == words:
            drawn = stream.random_raw(subsets * words)
        else:
            drawn = np.empty((subsets, taken), dtype=np.uint64)
            for subset in drawn:
                subset[:] = stream.random_raw(taken)
                stream.advance(words - taken)
        octets = drawn.reshape(subsets, taken).astype("<u8").view(np.uint8)
        yield np.unpackbits(octets, axis=1, count=count).astype(np.float64)
