"""The paired test against brute force, against its promises, and against itself."""

from __future__ import annotations

import itertools
import math
import os
import statistics
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pytest_benchmark.fixture import BenchmarkFixture

from harness.statistics import Alternative, Flips, draw_flips

SMALL = arrays(np.float64, st.tuples(st.integers(1, 7), st.integers(1, 3)), elements=st.integers(-9, 9).map(float))


def p_values(deltas: np.ndarray, alternative: Alternative, *, flips: int = 10_000, shift: float = 0.0) -> list[float]:
    return [float(p) for p in draw_flips(deltas, flips=flips).p_values(alternative, shift=shift)]


def brute_force(deltas: np.ndarray, alternative: Alternative) -> list[float]:
    """The exact adjusted p-values by their definition, with standardised statistics, one flip at a time."""

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
@given(deltas=SMALL, shift=st.sampled_from([0.0, 1.5, -2.0]))
def test_few_rows_give_exact_p_values(alternative: Alternative, deltas: np.ndarray, shift: float) -> None:
    """With few rows every flip is tried, and p equals its definition, also for shifted deltas."""
    expected = brute_force(deltas + shift, alternative)
    assert p_values(deltas, alternative, shift=shift) == pytest.approx(expected)


def test_many_rows_approach_the_exact_p_value() -> None:
    """8,000 random flips of 13 rows give the p-value of all 8,192 within their own error."""
    deltas = np.random.default_rng(1).normal(0.4, 1, (13, 2))
    drawn = p_values(deltas, "two-sided", flips=8_000)
    assert drawn == pytest.approx(p_values(deltas, "two-sided"), abs=4 * math.sqrt(0.25 / 8_000))


def test_p_is_never_zero_and_adjusted_for_all_metrics() -> None:
    """A huge effect gives the smallest possible p; a metric of noise beside it is not carried along."""
    rng = np.random.default_rng(2)
    clear, noise = p_values(np.c_[rng.normal(5, 1, 200), rng.normal(0, 1, 200)], "two-sided")
    assert clear == pytest.approx(1 / 10_001)
    assert noise > 0.05


@pytest.mark.parametrize("rows", [20, 100])
@pytest.mark.parametrize("metrics", [1, 4])
def test_false_alarms_are_as_rare_as_promised(rows: int, metrics: int) -> None:
    """Two equal models of skewed, correlated scores differ in 5 % of 800 trials, within 99.9 % limits."""
    rng = np.random.default_rng(rows + metrics)
    trials = 800
    common = rng.exponential(1, (rows, trials, 1)) - rng.exponential(1, (rows, trials, 1))
    deltas = common + 0.5 * rng.standard_t(3, (rows, trials, metrics))
    for alternative in ("two-sided", "less"):
        p = draw_flips(deltas, flips=2_000).p_values(alternative).min(axis=-1)  # type: ignore[arg-type]
        assert abs((p <= 0.05).mean() - 0.05) <= 3.3 * math.sqrt(0.05 * 0.95 / trials)


def test_trials_side_by_side_are_those_one_by_one() -> None:
    """Many data sets in one array get the p-values that each gets alone."""
    deltas = np.random.default_rng(3).normal(0.2, 1, (40, 5, 3))
    together = draw_flips(deltas, flips=1_000).p_values("less")
    alone = [draw_flips(deltas[:, trial], flips=1_000).p_values("less") for trial in range(5)]
    assert np.array_equal(together, alone)


@given(SMALL, st.floats(0.1, 10))
def test_unit_and_direction_do_not_matter(deltas: np.ndarray, factor: float) -> None:
    """Scores in percent or in fractions give the same p, and swapping the arms swaps the direction."""
    before = p_values(deltas, "greater")
    assert p_values(deltas * factor, "greater") == pytest.approx(before)
    assert p_values(-deltas, "less") == pytest.approx(before)


def test_one_direction_finds_more() -> None:
    """The one-sided test has about half the p-value of the two-sided one where the loss is real."""
    deltas = np.random.default_rng(4).normal(-0.2, 1, (150, 3))
    one, two = min(p_values(deltas, "less")), min(p_values(deltas, "two-sided"))
    assert one == pytest.approx(two / 2, rel=0.5)
    assert min(p_values(deltas, "greater")) > 0.5


PROGRAM = """
import hashlib, sys
import numpy as np
import harness.statistics.flips as module
module.BLOCK, module.SPAN = int(sys.argv[1]), int(sys.argv[2])
deltas = np.random.default_rng(0).normal(0.3, 15, (1501, 4)).round(4) + 0.1
flips = module.draw_flips(deltas, flips=2_000)
seen = [flips.p_values("less").tolist(), flips.critical_value(0.05), [flips.interval(m, 0.05) for m in range(4)]]
print(hashlib.sha256(flips.sums.tobytes() + repr(seen).encode()).hexdigest())
"""


def test_result_is_the_same_to_the_bit_whatever_the_blocks_and_the_threads() -> None:
    """Blocks of 1, 64 and all flips, of 64 rows, 640 and all, on one thread and on two: equal sums and all else."""

    def digest(block: int, span: int, threads: int) -> str:
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, str(threads))}
        command = [sys.executable, "-c", PROGRAM, str(block), str(span)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    ways = ((1, 16_384, 1), (64, 64, 1), (64, 16_384, 2), (2_000, 640, 2))
    assert len({digest(*way) for way in ways}) == 1


def test_squares_are_those_of_all_rows_whatever_the_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stretches of 1, of 64 and of all rows give the same p-values and critical value, the last rows too."""
    deltas = np.random.default_rng(6).normal(0.1, 1, (300, 3))
    deltas[-1] = 40
    drawn = draw_flips(deltas, flips=500)
    seen = []
    for stretch in (1, 64, 300):
        monkeypatch.setattr("harness.statistics.flips.STRETCH", stretch)
        seen.append([*drawn.p_values("two-sided", shift=0.5), drawn.critical_value(0.05)])
    assert seen[0] == pytest.approx(seen[2])
    assert seen[1] == pytest.approx(seen[2])


def test_sums_are_exact() -> None:
    """Every sum equals that of Python's exact arithmetic over the same subset, in any order of the rows."""
    deltas = np.random.default_rng(5).normal(0, 30, (12, 2)).round(4)
    flips = draw_flips(deltas, flips=10_000)
    for subset in (0, 1, 77, 4_095):
        chosen = [row for row in range(12) if subset >> row & 1]
        for metric in range(2):
            assert flips.sums[subset, metric] == math.fsum(flips.deltas[row, metric] for row in chosen)
    assert np.abs(flips.deltas - deltas).max() < 1e-9
    again = draw_flips(deltas[::-1], flips=10_000)
    assert sorted(again.sums[:, 0]) == sorted(flips.sums[:, 0])


def test_a_whole_test_set_takes_seconds_and_little_memory(benchmark: BenchmarkFixture) -> None:
    """11,334 rows x 10,000 flips x 4 metrics, tests, critical value and intervals: at most 3 s and 500 MB."""
    deltas = np.random.default_rng(6).normal(0.1, 15, (11_334, 4)).round(4)

    def decide() -> Flips:
        flips = draw_flips(deltas, flips=10_000)
        flips.p_values("less")
        flips.p_values("two-sided")
        flips.critical_value(0.05)
        for metric in range(4):
            flips.interval(metric, 0.05)
        return flips

    tracemalloc.start()
    decide()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500e6
    flips = benchmark.pedantic(decide, rounds=2, iterations=1)
    assert flips.sums.shape == (10_000, 4)
    if benchmark.stats is not None:
        benchmark.extra_info["peak_megabytes"] = round(peak / 1e6, 1)
        assert benchmark.stats.stats.min < 3


@given(arrays(np.float64, st.integers(1, 7), elements=st.integers(-9, 9).map(float)), st.sampled_from([0.05, 0.3]))
def test_interval_holds_what_the_test_does_not_reject(deltas: np.ndarray, level: float) -> None:
    """A shift inside the interval is not rejected by either one-sided test at half the level; outside it is."""
    low, high = draw_flips(deltas[:, None], flips=10_000).interval(0, level)
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
    trials = 600
    flips = draw_flips(np.random.default_rng(rows).standard_t(4, (rows, trials)) + 3, flips=2_000)
    ends = [flips.interval(trial, 0.05) for trial in range(trials)]
    inside = np.mean([low <= 3 <= high for low, high in ends])
    assert abs(inside - 0.95) <= 3.3 * math.sqrt(0.05 * 0.95 / trials)


def test_critical_value_is_the_normal_one_for_many_rows() -> None:
    """For one metric and many rows the critical value approaches 1.96."""
    deltas = np.random.default_rng(7).normal(0, 1, (2_000, 1))
    expected = statistics.NormalDist().inv_cdf(0.975)
    assert draw_flips(deltas, flips=10_000).critical_value(0.05) == pytest.approx(expected, abs=0.06)


def test_nothing_moved() -> None:
    """Without any difference p is 1 and the interval is nothing wide."""
    flips = draw_flips(np.zeros((50, 2)), flips=1_000)
    assert flips.p_values("two-sided").tolist() == [1.0, 1.0]
    assert flips.interval(0, 0.05) == (0.0, 0.0)


def test_a_longer_draw_begins_with_the_shorter() -> None:
    """More flips add to those there are; another seed draws others."""
    deltas = np.random.default_rng(8).normal(0, 1, (70, 1))
    shorter, longer = (draw_flips(deltas, flips=flips, seed=3).sums for flips in (1_000, 2_500))
    assert np.array_equal(shorter, longer[:1_000])
    assert not np.array_equal(shorter, draw_flips(deltas, flips=1_000, seed=4).sums)
