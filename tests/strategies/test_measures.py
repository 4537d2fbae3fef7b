"""Transfer and forgetting over rows and seeds: the numbers are those of the matrix, and chance seldom fools them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.statistics.transfer import average_score, backward_transfer, forgetting, forward_transfer
from harness.strategies.contest import adjust, compare_runs
from harness.strategies.measures import measure
from tests.strategies.by_hand import Scores, make_run

ONE_BY_ONE = ((0,), (1,), (2,))


def draw(generator: np.random.Generator, means: NDArray[np.float64], rows: tuple[int, ...], noise: float) -> Scores:
    """Scores of every row around the means of (lines, tasks); a row is as hard after one stage as after another."""
    return [
        means[:, task, None] + generator.normal(0, 10, count) + generator.normal(0, noise, (len(means), count))
        for task, count in enumerate(rows)
    ]


STILL = np.full((4, 3), 50.0)
"""A matrix in which nothing is learned or forgotten."""


def test_numbers_are_those_of_the_matrix() -> None:
    """Whatever the rows of each task: a mean over tasks is one over the cells of R, not over all rows."""
    means = np.random.default_rng(0).uniform(20, 80, (4, 3))
    run = make_run([draw(np.random.default_rng(1), means, (10, 40, 25), 5)], taught=ONE_BY_ONE)
    found, scores = measure(run), run.matrix()
    assert found["average score"].value == pytest.approx(average_score(scores), abs=1e-3)
    assert found["backward transfer"].value == pytest.approx(backward_transfer(scores, run.learned), abs=1e-3)
    assert found["forward transfer"].value == pytest.approx(forward_transfer(scores, run.learned), abs=1e-3)
    assert found["forgetting"].value == pytest.approx(forgetting(scores, run.learned), abs=1e-3)
    assert found["average gain"].value == pytest.approx(scores[-1].mean() - scores[0].mean(), abs=1e-3)
    assert all(entry.low <= entry.value <= entry.high for entry in found.values())
    assert found["backward transfer"].tasks == ("task-0", "task-1")
    assert found["forward transfer"].tasks == ("task-1", "task-2")


def test_one_stage_has_an_average_and_nothing_else() -> None:
    """Where all tasks were taught jointly, transfer and forgetting are not defined, and say so."""
    run = make_run([draw(np.random.default_rng(1), STILL[:2], (8, 8, 8), 5)], taught=((0, 1, 2),))
    found = measure(run)
    assert {name for name, entry in found.items() if entry.defined} == {"average score", "average gain"}
    assert math.isnan(found["forgetting"].value)
    assert math.isnan(found["forgetting"].high)


def test_what_is_not_in_points_counts_in_no_mean() -> None:
    """A perplexity cannot be averaged with percent points: a task whose score falls when it gets better is left out."""
    run = make_run([draw(np.random.default_rng(1), STILL, (8, 8, 8), 5)], taught=ONE_BY_ONE)
    for stage in run.repeats[0]:
        arm = stage.arms["task-0"]
        falling = arm.manifest.model_copy(update={"lower_is_better": ("rouge1",)})
        stage.arms["task-0"] = arm.model_copy(update={"manifest": falling})  # type: ignore[index]
    found = measure(run)
    assert found["average score"].tasks == ("task-1", "task-2")
    assert found["average score"].value == pytest.approx(run.matrix()[-1, 1:].mean(), abs=1e-3)


def test_several_seeds_are_told_each_and_widen_the_interval() -> None:
    """Two seeds that forget 0 and 20 points are no proof of 10: their interval holds both."""
    generator = np.random.default_rng(2)
    fallen = STILL.copy()
    fallen[-1, :2] -= 20
    seeds = [draw(generator, means, (40, 40, 40), 1) for means in (STILL, fallen)]
    found = measure(make_run(seeds, taught=ONE_BY_ONE))["backward transfer"]
    assert found.by_seed == pytest.approx((0, -20), abs=1)
    assert found.low < -20
    assert found.high > 0


def test_intervals_seldom_exclude_the_truth() -> None:
    """Nothing is forgotten, transferred or gained: in 200 draws each interval leaves 0 out in at most 5 %, and chance.

    Of forgetting as well, though the best of noisy lines lies above the last for no reason but luck.
    """
    generator = np.random.default_rng(3)
    names = ("average gain", "backward transfer", "forward transfer", "forgetting")
    alarms = dict.fromkeys(names, 0)
    for _ in range(200):
        run = make_run([draw(generator, STILL, (16, 12, 24), 8)], taught=ONE_BY_ONE)
        found = measure(run)
        for name in names:
            alarms[name] += not found[name].low <= 0 <= found[name].high
    # 200 draws at 5 %: 10 expected, more than 19 in less than 0.3 % of all cases.
    assert max(alarms.values()) <= 19, alarms


def test_true_forgetting_is_seen_and_named() -> None:
    """20 points lost on two of three tasks: the interval excludes 0, and the strategy that kept them is the better."""
    generator = np.random.default_rng(4)
    fallen = STILL.copy()
    fallen[-1, :2] -= 20
    rows = (30, 30, 30)
    forgets = make_run([draw(generator, fallen, rows, 5)], taught=ONE_BY_ONE)
    keeps = make_run([draw(generator, STILL, rows, 5)], taught=ONE_BY_ONE, line="keeps")
    alone = make_run([draw(generator, STILL, rows, 5)], taught=ONE_BY_ONE, line="single")
    assert measure(forgets)["forgetting"].low > 10
    contest = compare_runs({"single": alone, "sequential": forgets, "keeps": keeps})
    (pair,) = contest.forgetting
    assert pair.better == "keeps"
    assert pair.delta == pytest.approx(20, abs=4)
    assert {(entry.line, entry.gap.task) for entry in contest.single if entry.loses} == {
        ("sequential", "task-0"),
        ("sequential", "task-1"),
    }


def test_equal_strategies_are_hardly_ever_told_apart() -> None:
    """Three strategies without any difference: in 60 draws some pair or task is called different in about 5 %.

    Each of the three tables (average, forgetting, against the single models) holds the level by itself.
    """
    generator = np.random.default_rng(5)
    alarms = np.zeros(3)
    for _ in range(60):
        runs = {
            name: make_run([draw(generator, STILL, (14, 18, 14), 8)], taught=ONE_BY_ONE, line=name)
            for name in ("single", "sequential", "other", "third")
        }
        contest = compare_runs(runs)
        alarms += [
            any(pair.better for pair in contest.average),
            any(pair.better for pair in contest.forgetting),
            any(entry.loses for entry in contest.single),
        ]
    # 60 draws at 5 %: 3 expected, more than 8 in 0.4 % of all cases.
    assert max(alarms) <= 8, alarms


def test_holm_adjusts_step_by_step() -> None:
    """A known answer: 0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02."""
    assert adjust([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert adjust([]) == []
