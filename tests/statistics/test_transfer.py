"""The measures of several tasks: definitions, hand-made matrices, and what must hold of every matrix."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from harness.checks.forgetting import BACKWARD_TRANSFER, FORGETTING, MATRICES
from harness.statistics.transfer import (
    Floats,
    Lines,
    average_score,
    backward_transfer,
    forgetting,
    forward_transfer,
    lost_from_best,
    mean_way,
    since_the_base,
)


def one_by_one(tasks: int) -> Lines:
    """Each stage teaches one task."""
    return np.arange(1, tasks + 1)


def with_base(scores: Floats, base: float = 0.0) -> Floats:
    """The matrix with a line for the base on top."""
    return np.vstack([np.full(scores.shape[1], base), scores])


@st.composite
def courses(draw: st.DrawFn) -> tuple[Floats, Lines]:
    """A matrix with a base line, and the stage of each task; a stage may teach several tasks, but each teaches one."""
    tasks = draw(st.integers(1, 5))
    stages = draw(st.integers(1, tasks))
    learned = draw(st.permutations([*range(1, stages + 1), *([1] * (tasks - stages))]))
    scores = draw(arrays(np.float64, (1 + stages, tasks), elements=st.floats(0, 100, width=32)))
    return scores, np.array(learned)


def test_worked_example() -> None:
    """Three tasks with numbers that one can follow by hand."""
    scores = np.array([[10.0, 10.0, 10.0], [80.0, 15.0, 10.0], [90.0, 70.0, 16.0], [60.0, 65.0, 75.0]])
    assert average_score(scores) == pytest.approx((60 + 65 + 75) / 3)
    assert backward_transfer(scores, one_by_one(3)) == pytest.approx(((60 - 80) + (65 - 70)) / 2)
    assert forward_transfer(scores, one_by_one(3)) == pytest.approx(((15 - 10) + (16 - 10)) / 2)
    assert forgetting(scores, one_by_one(3)) == pytest.approx(((90 - 60) + (70 - 65)) / 2)


@pytest.mark.parametrize("scores", MATRICES)
def test_agrees_with_what_the_checks_expect_of_others(scores: Floats) -> None:
    """On the matrices of the checks our numbers are those of the definitions that the checks know."""
    learned = one_by_one(len(scores))
    assert forgetting(with_base(scores), learned) == pytest.approx(FORGETTING["best less last"](scores))
    assert backward_transfer(with_base(scores), learned) == pytest.approx(BACKWARD_TRANSFER["last less first"](scores))


def test_one_stage_leaves_nothing_to_forget() -> None:
    """Where all tasks are taught at once, only the average is defined."""
    scores, learned = np.array([[1.0, 2.0], [50.0, 60.0]]), np.array([1, 1])
    assert average_score(scores) == pytest.approx(55.0)
    assert all(math.isnan(measure(scores, learned)) for measure in (backward_transfer, forward_transfer, forgetting))


def test_tasks_of_one_stage_count_alike() -> None:
    """Two tasks in the first stage and one in the last: the two may be forgotten, the one may profit."""
    scores = np.array([[0.0, 0.0, 4.0], [70.0, 50.0, 9.0], [60.0, 55.0, 80.0]])
    learned = np.array([1, 1, 2])
    assert backward_transfer(scores, learned) == pytest.approx((-10 + 5) / 2)
    assert forgetting(scores, learned) == pytest.approx((10 - 5) / 2)
    assert forward_transfer(scores, learned) == pytest.approx(5)


@given(courses())
def test_forgetting_is_at_least_what_was_lost_since_learning(course: tuple[Floats, Lines]) -> None:
    """The best score is no lower than the first, so forgetting is never below minus the backward transfer."""
    scores, learned = course
    if max(learned) > min(learned):
        assert forgetting(scores, learned) >= -backward_transfer(scores, learned) - 1e-9


@given(courses(), st.randoms())
def test_order_of_columns_is_no_matter(course: tuple[Floats, Lines], random: object) -> None:
    """Naming the tasks in another order, each with its stage, changes no measure."""
    scores, learned = course
    order = np.arange(len(learned))
    random.shuffle(order)  # type: ignore[attr-defined]
    for measure in (backward_transfer, forward_transfer, forgetting):
        assert measure(scores[:, order], learned[order]) == pytest.approx(measure(scores, learned), nan_ok=True)


@given(courses(), st.floats(-50, 50))
def test_a_shift_of_all_scores_moves_the_average_alone(course: tuple[Floats, Lines], shift: float) -> None:
    """Transfer and forgetting are differences."""
    scores, learned = course
    assert average_score(scores + shift) == pytest.approx(average_score(scores) + shift)
    for measure in (backward_transfer, forward_transfer, forgetting):
        assert measure(scores + shift, learned) == pytest.approx(measure(scores, learned), nan_ok=True, abs=1e-9)


@given(courses())
def test_a_model_that_never_changes_transfers_and_forgets_nothing(course: tuple[Floats, Lines]) -> None:
    """Every line is the base: all differences are 0, or not defined."""
    scores, learned = course
    still = np.tile(scores[0], (len(scores), 1))
    for measure in (backward_transfer, forward_transfer, forgetting):
        assert measure(still, learned) == 0 or math.isnan(measure(still, learned))
    assert mean_way(still, since_the_base(learned, len(still) - 1)) == 0


@given(courses())
def test_best_is_sought_from_learning_to_before_the_end(course: tuple[Floats, Lines]) -> None:
    """What a task scored before it was learned cannot be forgotten, and the last line is what is left."""
    scores, learned = course
    last = len(scores) - 1
    ways = lost_from_best(scores, learned)
    assert all(learned[way.task] <= way.end < last and way.start == last for way in ways)
    assert all(scores[way.end, way.task] == scores[learned[way.task] : last, way.task].max() for way in ways)
