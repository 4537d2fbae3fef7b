"""Whether rows can decide, what they could have shown, and how many it takes."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.statistics import can_decide, draw_flips
from harness.statistics.power import detectable_effect, rows_needed


@pytest.mark.parametrize(("rows", "tolerance"), [(8, 0.12), (12, 0.1), (20, 0.07), (100, 0.06)])
@pytest.mark.parametrize("metrics", [1, 4])
def test_detectable_effect_is_detected_four_times_in_five(rows: int, tolerance: float, metrics: int) -> None:
    """A true effect of the stated size is found in 80 % of 400 trials, about; the fewer the rows, the rougher."""
    rng = np.random.default_rng(rows)
    trials = 400
    pilots, deltas = rng.normal(0, 2, (2, rows, trials, metrics))
    for trial in range(trials):
        pilot = pilots[:, trial]
        critical = draw_flips(pilot, flips=1_000, seed=trial).critical_value(0.05)
        # The spread is known here, so that only the rule is judged and not the luck of the pilot.
        deltas[:, trial, 0] += detectable_effect(pilot, critical)[0] * 2 / pilot[:, 0].std(ddof=1)
    found = draw_flips(deltas, flips=5_000).p_values("two-sided")[:, 0] <= 0.05
    assert abs(found.mean() - 0.8) <= tolerance


def test_rows_needed_would_detect_the_effect() -> None:
    """With that many rows, the detectable effect is the one asked for."""
    deltas = np.random.default_rng(6).normal(0, 10, (50, 1))
    critical = draw_flips(deltas, flips=10_000).critical_value(0.05)
    needed = rows_needed(deltas[:, 0], critical, 1.0, 0.05)
    (now,) = detectable_effect(deltas, critical)
    assert now * math.sqrt(50 / needed) == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("rows", range(1, 9))
def test_too_few_rows_can_decide_nothing(rows: int) -> None:
    """Up to five rows no result can reach 5 % in a two-sided test, and every number says so; six can."""
    flips = draw_flips(np.full((rows, 1), 50.0), flips=10_000)
    critical = flips.critical_value(0.05)
    assert can_decide(rows, 0.05) == (rows >= 6)
    assert (flips.p_values("two-sided")[0] <= 0.05) == (rows >= 6)
    assert math.isfinite(flips.interval(0, 0.05)[0]) == (rows >= 6)
    assert math.isfinite(critical) == (rows >= 6)
    if rows < 6:
        assert detectable_effect(flips.deltas, critical) == (math.inf,)
    assert rows_needed(flips.deltas[:, 0], critical, 1.0, 0.05) == 6


@pytest.mark.parametrize("changed", [1, 3, 5])
def test_few_changed_rows_among_many(changed: int) -> None:
    """Where 1, 3 or 5 of 200 rows moved, the flips tie; what the rows could have shown is still a finite number."""
    deltas = np.zeros((200, 4))
    deltas[:changed] = 3.0
    flips = draw_flips(deltas, flips=10_000)
    assert flips.p_values("two-sided").min() > 0.05
    assert all(0 < effect < 3 for effect in detectable_effect(deltas, flips.critical_value(0.05)))
