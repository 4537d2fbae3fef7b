"""How often the gate cries wolf, and how often it sees a wolf: measured on real scores by drawing from them.

The unchanged model is played so: rows are drawn, their deltas are centred, and in each row it is left to chance which
of the two arms is called the candidate. Nothing has changed, so whatever raises an alarm is false.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.config import GateSettings
from harness.errors import DataError
from harness.statistics import draw_flips

Floats = NDArray[np.float64]
BATCH = 50
"""Trials that share one draw of flips; many of them would be off together where that draw is."""
NAIVE_DROP = 1.0
"""The drop, in percent points, that assertions without statistics like to forbid."""


@dataclass(frozen=True, kw_only=True)
class Calibrated:
    """What was measured for one number of rows, over the metrics tested together.

    Args:
        rows: how many rows each trial has.
        metrics: how many metrics are tested together.
        trials: how many unchanged models were judged.
        level: the share of false alarms that the gate promises.
        false_alarms: the share of unchanged models that the gate calls regressed.
        low: the smallest share that chance explains where the promise is kept, in 95 % of measurements.
        high: the largest such share.
        effect: the loss whose detection was measured, in percent points in every metric.
        power: the share of such losses that the gate finds.
        dropped: false alarms of the assertion that no metric fell at all.
        dropped_by_one: of the assertion that no metric fell by more than 1 point.
    """

    rows: int
    metrics: int
    trials: int
    level: float
    false_alarms: float
    low: float
    high: float
    effect: float
    power: float
    dropped: float
    dropped_by_one: float

    @property
    def kept(self) -> bool:
        """Whether the promise may be kept: the false alarms lie within the limits."""
        return self.low <= self.false_alarms <= self.high


def calibrate(
    deltas: Floats, gate: GateSettings, *, rows: Sequence[int], effect: float, trials: int = 1_000, seed: int = 0
) -> list[Calibrated]:
    """Measure false alarms and power of the one-sided test, for the first metric alone and for all together.

    Args:
        deltas: (rows, metrics) float64, of two arms on the same rows; see also `pair_rows`.
        gate: level and flips.
        rows: how many rows the trials have; those that the deltas do not have are left out.
        effect: the loss to be found, in percent points in every metric.
        trials: how many times each.
        seed: decides the draws.

    Raises:
        DataError: there are fewer deltas than the fewest rows asked for, or no row differs.
    """
    if min(rows) > len(deltas):
        raise DataError(
            f"There are {len(deltas)} rows of scores, and {min(rows)} are the fewest asked for.",
            fix="Give more scores, or ask for fewer rows.",
        )
    if not deltas.any():
        raise DataError(
            "The two arms have equal scores in every row.",
            why="Their differences say nothing of how much scores scatter.",
            fix="Give the scores of two different models, or of one.",
        )
    centred = deltas - deltas.mean(axis=0)
    generator = np.random.Generator(np.random.PCG64(seed))
    error = 1.96 * math.sqrt(gate.level * (1 - gate.level) / trials)
    found = []
    for count in rows:
        if count <= len(deltas):
            shares = _measure(centred, count, gate, effect, trials=trials, generator=generator)
            found += [
                Calibrated(
                    rows=count,
                    metrics=group,
                    trials=trials,
                    level=gate.level,
                    false_alarms=float(alarms),
                    low=max(0.0, gate.level - error),
                    high=gate.level + error,
                    effect=effect,
                    power=float(power),
                    dropped=float(dropped),
                    dropped_by_one=float(dropped_by_one),
                )
                for group, (alarms, power, dropped, dropped_by_one) in shares.items()
            ]
    return found


def pair_rows(scores: Floats, *, seed: int = 0) -> Floats:
    """Deltas from one arm alone: each row less another row drawn at random.

    Two rows of one model differ more than two models on one row, so this is the worst case.

    Args:
        scores: (rows, metrics) float64.
        seed: decides who is paired with whom.
    """
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(scores))
    paired: Floats = scores[order] - scores[np.roll(order, 1)]
    return paired


def _measure(
    centred: Floats, count: int, gate: GateSettings, effect: float, *, trials: int, generator: np.random.Generator
) -> dict[int, Floats]:
    """For each number of metrics the shares of false alarms, of losses found, and of both naive assertions' alarms."""
    hits = {group: np.zeros(4) for group in sorted({1, centred.shape[1]})}
    for start in range(0, trials, BATCH):
        size = min(BATCH, trials - start)
        # (rows, trials, metrics): each trial draws its own rows, and each row's sign holds for all metrics.
        chosen = np.stack([generator.permutation(len(centred))[:count] for _ in range(size)], axis=1)
        signs = generator.choice([-1.0, 1.0], size=(count, size, 1))
        drawn = draw_flips(centred[chosen] * signs, flips=gate.flips, seed=int(generator.integers(2**32)))
        for group, found in hits.items():
            flips = drawn.first_metrics(group)
            lowest = flips.deltas.mean(axis=0).min(axis=-1)
            found += [
                (flips.p_values("less").min(axis=-1) <= gate.level).sum(),
                (flips.p_values("less", shift=-effect).min(axis=-1) <= gate.level).sum(),
                (lowest < 0).sum(),
                (lowest < -NAIVE_DROP).sum(),
            ]
    return {group: found / trials for group, found in hits.items()}
