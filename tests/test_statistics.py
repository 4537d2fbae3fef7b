"""The paired test against brute force, against its promises, and against itself."""

from __future__ import annotations

import itertools
import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import harness.statistics
from harness.statistics import Alternative, confidence_interval, detectable_effect, rows_needed, sign_flip_test

SMALL = arrays(np.float64, st.tuples(st.integers(1, 7), st.integers(1, 3)), elements=st.integers(-9, 9).map(float))


def brute_force(deltas: np.ndarray, alternative: Alternative) -> list[float]:
    """The exact adjusted p-values by their definition, with studentised statistics, one flip at a time."""

    def statistic(flipped: np.ndarray) -> np.ndarray:
        scale = np.sqrt((deltas**2).sum(axis=0))
        z = np.array([total / size if size else 0.0 for total, size in zip(flipped.sum(axis=0), scale, strict=True)])
        return {"two-sided": np.abs(z), "greater": z, "less": -z}[alternative]

    observed = statistic(deltas)
    largest = [
        statistic(deltas * np.array(signs)[:, None]).max() for signs in itertools.product((1, -1), repeat=len(deltas))
    ]
    adjusted = [float(np.mean([value >= seen - 1e-9 for value in largest])) for seen in observed]
    return [p if deltas[:, metric].any() else 1.0 for metric, p in enumerate(adjusted)]


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@given(deltas=SMALL)
def test_few_rows_give_exact_p_values(alternative: Alternative, deltas: np.ndarray) -> None:
    """With few rows every flip is tried, and p equals its definition."""
    assert sign_flip_test(deltas, alternative=alternative).p == pytest.approx(brute_force(deltas, alternative))


def test_many_rows_approach_the_exact_p_value() -> None:
    """8,000 random flips of 13 rows give the p-value of all 8,192 within their own error."""
    deltas = np.random.default_rng(1).normal(0.4, 1, (13, 2))
    exact = sign_flip_test(deltas, alternative="two-sided").p
    drawn = sign_flip_test(deltas, alternative="two-sided", flips=8_000).p
    assert drawn == pytest.approx(exact, abs=4 * math.sqrt(0.25 / 8_000))


def test_p_is_never_zero_and_adjusted_for_all_metrics() -> None:
    """A huge effect gives the smallest possible p; a metric of noise beside it is not carried along."""
    rng = np.random.default_rng(2)
    test = sign_flip_test(np.c_[rng.normal(5, 1, 200), rng.normal(0, 1, 200)], alternative="two-sided")
    assert test.p[0] == pytest.approx(1 / 10_001)
    assert test.p[1] > 0.05
    alone = sign_flip_test(rng.normal(0.15, 1, (200, 1)), alternative="two-sided").p[0]
    assert 0 < alone < 1


@pytest.mark.parametrize("rows", [20, 100])
@pytest.mark.parametrize("metrics", [1, 4])
def test_false_alarms_are_as_rare_as_promised(rows: int, metrics: int) -> None:
    """Two equal models of skewed, correlated scores differ in 5 % of 800 trials, within 99.9 % limits."""
    rng = np.random.default_rng(rows + metrics)
    alarms = 0
    trials = 800
    for trial in range(trials):
        common = rng.exponential(1, (rows, 1)) - rng.exponential(1, (rows, 1))
        deltas = common + 0.5 * rng.standard_t(3, (rows, metrics))
        alarms += min(sign_flip_test(deltas, alternative="two-sided", flips=1_000, seed=trial).p) <= 0.05
    error = math.sqrt(0.05 * 0.95 / trials)
    assert 0.05 - 3.3 * error <= alarms / trials <= 0.05 + 3.3 * error


@given(SMALL, st.floats(0.1, 10))
def test_unit_and_direction_do_not_matter(deltas: np.ndarray, factor: float) -> None:
    """Scores in percent or in fractions give the same p, and swapping the arms swaps the direction."""
    before = sign_flip_test(deltas, alternative="greater").p
    assert sign_flip_test(deltas * factor, alternative="greater").p == pytest.approx(before)
    assert sign_flip_test(-deltas, alternative="less").p == pytest.approx(before)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_answer_is_repeatable_and_does_not_hang_on_the_row_order(seed: int) -> None:
    """Asking twice gives the same numbers to the last bit; another row order changes the draw, not the answer."""
    deltas = np.random.default_rng(seed).normal(0.1, 1, (300, 3))
    first = sign_flip_test(deltas, alternative="two-sided")
    assert sign_flip_test(deltas, alternative="two-sided") == first
    assert sign_flip_test(deltas[::-1], alternative="two-sided").p == pytest.approx(first.p, abs=0.03)


@given(arrays(np.float64, st.integers(1, 7), elements=st.integers(-9, 9).map(float)), st.sampled_from([0.05, 0.3]))
def test_interval_holds_what_the_test_does_not_reject(deltas: np.ndarray, level: float) -> None:
    """A shift inside the interval is not rejected by either one-sided test at half the level; outside it is."""
    low, high = confidence_interval(deltas, level=level)
    assert low <= high

    def rejected(shift: float, alternative: Alternative) -> bool:
        flips = [np.array(signs) for signs in itertools.product((1, -1), repeat=len(deltas))]
        shifted = deltas - shift
        sign = 1 if alternative == "greater" else -1
        reached = np.mean([sign * (shifted * flip).sum() >= sign * shifted.sum() - 1e-9 for flip in flips])
        return bool(reached <= level / 2)

    step = 1e-3
    if math.isfinite(low):
        assert rejected(low - step, "greater")
        assert rejected(high + step, "less")
        assert not rejected(low + step, "greater") or low == high
        assert not rejected(high - step, "less") or low == high
    else:
        assert not rejected(-1e6, "greater")


@pytest.mark.parametrize("rows", [20, 200])
def test_interval_covers_the_truth(rows: int) -> None:
    """95 % intervals of symmetric noise hold the true mean in 95 % of 600 trials, within 99.9 % limits."""
    rng = np.random.default_rng(rows)
    trials = 600
    inside = 0
    for trial in range(trials):
        low, high = confidence_interval(rng.standard_t(4, rows) + 3, flips=1_000, seed=trial)
        inside += low <= 3 <= high
    assert abs(inside / trials - 0.95) <= 3.3 * math.sqrt(0.05 * 0.95 / trials)


@pytest.mark.parametrize(("rows", "tolerance"), [(8, 0.12), (12, 0.1), (20, 0.07), (100, 0.06)])
@pytest.mark.parametrize("metrics", [1, 4])
def test_detectable_effect_is_detected_four_times_in_five(rows: int, tolerance: float, metrics: int) -> None:
    """A true effect of the stated size is found in 80 % of 400 trials, about; the fewer the rows, the rougher."""
    rng = np.random.default_rng(rows)
    found = 0
    for trial in range(400):
        pilot = rng.normal(0, 2, (rows, metrics))
        critical = sign_flip_test(pilot, alternative="two-sided", flips=1_000, seed=trial).critical
        # The spread is known here, so that only the rule is judged and not the luck of the pilot.
        effect = detectable_effect(pilot, critical)[0] * 2 / pilot[:, 0].std(ddof=1)
        deltas = rng.normal(0, 2, (rows, metrics))
        deltas[:, 0] += effect
        found += sign_flip_test(deltas, alternative="two-sided", flips=1_000, seed=trial).p[0] <= 0.05
    assert abs(found / 400 - 0.8) <= tolerance


def test_rows_needed_would_detect_the_effect() -> None:
    """With that many rows, the detectable effect is the one asked for."""
    deltas = np.random.default_rng(6).normal(0, 10, (50, 1))
    critical = sign_flip_test(deltas, alternative="two-sided").critical
    needed = rows_needed(deltas[:, 0], critical, 1.0)
    (now,) = detectable_effect(deltas, critical)
    assert now * math.sqrt(50 / needed) == pytest.approx(1.0, rel=0.1)


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5])
def test_too_few_rows_can_decide_nothing(rows: int) -> None:
    """Up to five rows no result can reach 5 % in a two-sided test, and the numbers say so."""
    deltas = np.full((rows, 1), 50.0)
    test = sign_flip_test(deltas, alternative="two-sided")
    assert min(test.p) > 0.05
    assert math.isinf(test.critical)
    assert detectable_effect(deltas, test.critical) == (math.inf,)
    assert confidence_interval(deltas[:, 0]) == (-math.inf, math.inf)
    assert rows_needed(deltas[:, 0], test.critical, 1.0) >= rows


def test_critical_value_is_the_normal_one_for_many_rows() -> None:
    """For one metric and many rows the critical value approaches 1.96."""
    deltas = np.random.default_rng(7).normal(0, 1, (2_000, 1))
    expected = statistics.NormalDist().inv_cdf(0.975)
    assert sign_flip_test(deltas, alternative="two-sided").critical == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("changed", [1, 3, 5])
def test_few_changed_rows_among_many(changed: int) -> None:
    """Where 1, 3 or 5 of 200 rows moved, the flips tie; what the rows could have shown is still a finite number."""
    deltas = np.zeros((200, 4))
    deltas[:changed] = 3.0
    test = sign_flip_test(deltas, alternative="two-sided")
    assert min(test.p) > 0.05
    assert all(0 < effect < 3 for effect in detectable_effect(deltas, test.critical))


def test_nothing_moved() -> None:
    """Without any difference p is 1 and the interval is nothing wide."""
    deltas = np.zeros((50, 2))
    assert sign_flip_test(deltas, alternative="two-sided").p == (1.0, 1.0)
    assert confidence_interval(deltas[:, 0]) == (0.0, 0.0)


def test_block_size_is_no_setting() -> None:
    """Each block draws from a seed of its own, so the flips of a longer run begin with those of a shorter one."""
    blocks = list(harness.statistics._sign_blocks(30, 1_000, seed=3))
    longer = list(harness.statistics._sign_blocks(30, 2_000, seed=3))
    for one, other in zip(blocks[:-1], longer, strict=False):
        assert (one == other).all()
    assert set(np.unique(np.concatenate(blocks))) == {-1.0, 1.0}
