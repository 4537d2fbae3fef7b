"""What the deltas of rows and seeds prove: one answer from the test that fits each metric."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from harness.statistics.flips import Alternative, Flips, draw_flips
from harness.statistics.power import are_alike, can_decide, detectable_effect, power_quantile, rows_needed
from harness.statistics.seeds import Crossed, cross
from harness.statistics.yes_no import mcnemar, score_interval, score_test

Floats = NDArray[np.float64]
FULL = 100.0
"""How many points a row can move at most."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """Paired deltas, tested together at one level.

    Rows are tested by sign flips over all metrics together. A metric of yes and no has McNemar's exact test and the
    score interval. Where all rows have one share of a score of a set, the interval leaves room for rows that have
    another. Where there are several seeds, what rows show must also survive the noise of the seeds.

    Args:
        deltas: (rows, seeds, metrics) float64, candidate less the other, in the metric's unit.
        yes_no: for each metric whether all its scores are 0 or 100.
        level: the share of false alarms that is accepted, over all metrics together.
        flips: how many sign flips.
        points: for each metric how much one point is in its unit; 1 where nothing is said.
        of_set: for each metric whether its deltas are of jackknife shares; none where nothing is said.
    """

    deltas: Floats
    yes_no: tuple[bool, ...]
    level: float
    flips: int
    points: tuple[float, ...] = ()
    of_set: tuple[bool, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows were paired."""
        return len(self.deltas)

    @property
    def seeds(self) -> int:
        """How many seeds were trained."""
        return int(self.deltas.shape[1])

    @cached_property
    def by_row(self) -> Floats:
        """(rows, metrics) float64, the mean over the seeds."""
        mean: Floats = self.deltas.mean(axis=1) if self.seeds > 1 else self.deltas[:, 0]
        return mean

    @cached_property
    def critical(self) -> float:
        """The largest standardised statistic that chance exceeds with probability ``level``."""
        return self._drawn.critical_value(self.level)

    @cached_property
    def crossed(self) -> tuple[Crossed, ...]:
        """For each metric its mean and error over rows and seeds; nothing where there is one seed or one row."""
        if self.seeds == 1 or self.rows == 1:
            return ()
        return tuple(cross(self.deltas[:, :, metric]) for metric in range(self.deltas.shape[2]))

    def p_values(self, alternative: Alternative, *, shift: float = 0.0) -> tuple[float, ...]:
        """For each metric whether its mean moved, adjusted for all metrics.

        Args:
            alternative: "greater" asks for gains, "less" for losses, "two-sided" for either.
            shift: in points, is added to each delta first: 5 and "less" ask whether a metric fell by more than 5.
        """
        metrics = self.deltas.shape[2]
        shifts = shift * np.array(self._points)
        adjusted = [float(p) for p in self._drawn.p_values(alternative, shift=shifts)]
        for metric, crossed in enumerate(self.crossed):
            p = crossed.p_value(alternative, shift=float(shifts[metric]))
            adjusted[metric] = max(adjusted[metric], min(1.0, metrics * p))
        for metric in self._yes_no_metrics:
            # Among several metrics the flips are McNemar's test already; a shift takes the deltas off 0 and 100.
            if shift:
                p = score_test(self.by_row[:, metric], alternative, -shift)
                adjusted[metric] = min(1.0, metrics * p)
            elif metrics == 1:
                adjusted[metric] = mcnemar(self.by_row[:, metric], alternative)
        return tuple(adjusted)

    def interval(self, metric: int) -> tuple[float, float]:
        """The interval of one metric's mean at ``1 - level``; infinite where the rows are too few."""
        if metric in self._yes_no_metrics:
            return self._interval_of_yes_no(self.by_row[:, metric])
        low, high = self._drawn.interval(metric, self.level)
        if self._hides_its_scatter(metric) and math.isfinite(low):
            low, high = self._interval_of_rows_alike(metric)
        if self.crossed:
            crossed = self.crossed[metric]
            reach = crossed.reach(self.level / 2)
            low, high = min(low, crossed.mean - reach), max(high, crossed.mean + reach)
        return low, high

    @cached_property
    def detectable(self) -> tuple[float, ...]:
        """For each metric the smallest true mean that is found with 80 % power; infinite where nothing can be."""
        effects = detectable_effect(self.by_row, self.critical)
        if not self.crossed:
            return effects
        return tuple(
            max(effect, self._reach_of_power(entry)) for effect, entry in zip(effects, self.crossed, strict=True)
        )

    def rows_needed(self, metric: int, effect: float) -> int | None:
        """How many rows would show ``effect`` with 80 % power; none where the seeds alone hide it."""
        if self.crossed and self._reach_of_power(replace(self.crossed[metric], row_error=0.0)) > effect:
            return None
        full = FULL * self._points[metric]
        if are_alike(self.by_row[:, metric]) and (self.yes_no[metric] or self._hides_its_scatter(metric)):
            # So many that fewer of all rows than the effect takes can be others.
            return math.ceil(math.log(self.level / 2) / math.log1p(-effect / full)) if effect < full else self.rows
        return rows_needed(self.by_row[:, metric], self.critical, effect, self.level)

    def _reach_of_power(self, crossed: Crossed) -> float:
        """The mean that is found with 80 % power over rows and seeds."""
        spread = math.hypot(crossed.row_error, crossed.seed_error)
        return crossed.reach(self.level / 2 / len(self.crossed)) + power_quantile() * spread

    def _interval_of_yes_no(self, deltas: Floats) -> tuple[float, float]:
        """The score interval, which may not claim what the exact test does not find."""
        if not can_decide(self.rows, self.level):
            return -math.inf, math.inf
        low, high = score_interval(deltas, self.level)
        return (low, high) if mcnemar(deltas, "two-sided") <= self.level else (min(low, 0.0), max(high, 0.0))

    def _hides_its_scatter(self, metric: int) -> bool:
        """Whether all rows have one share of a score of a set; other rows may score otherwise, and no flip shows it."""
        return bool(self.of_set) and self.of_set[metric] and are_alike(self.by_row[:, metric])

    def _interval_of_rows_alike(self, metric: int) -> tuple[float, float]:
        """What the mean of all rows may be where those at hand are alike: a share of the others moves as far as can be.

        Of which rows none was seen among n, they are fewer than ``1 - (level / 2)^(1 / n)`` of all.

        Source: Hanley and Lippman-Hand 1983, "If Nothing Goes Wrong, Is Everything All Right?", JAMA 249.
        """
        seen = float(self.by_row[:, metric].mean())
        unseen = -math.expm1(math.log(self.level / 2) / self.rows)
        full = FULL * self._points[metric]
        low, high = (seen + unseen * (end - seen) for end in (-full, full))
        return min(low, seen), max(high, seen)

    @cached_property
    def _points(self) -> tuple[float, ...]:
        return self.points or (1.0,) * int(self.deltas.shape[2])

    @cached_property
    def _drawn(self) -> Flips:
        return draw_flips(self.by_row, flips=self.flips)

    @property
    def _yes_no_metrics(self) -> tuple[int, ...]:
        """Of several seeds the mean is no longer yes or no."""
        return tuple(metric for metric, found in enumerate(self.yes_no) if found) if self.seeds == 1 else ()
