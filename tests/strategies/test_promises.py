"""What the strategies promise, on the embedded tasks, with tests paired by rows: it takes minutes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.multitask import Multitask, load_multitask
from harness.statistics import Evidence
from harness.strategies.run import MultitaskRun, run_strategy

Floats = NDArray[np.float64]

LINES: dict[str, tuple[str, dict[str, Any]]] = {
    "single": ("single", {}),
    "sequential": ("sequential", {}),
    "joint": ("joint", {}),
    "replay": ("continual", {"ewc": 0.0}),
    "ewc": ("continual", {"replay": 0}),
    "both": ("continual", {}),
}
"""Name to strategy and changed settings of `continual`."""


@pytest.fixture(scope="module")
def runs() -> dict[str, MultitaskRun]:
    """The embedded demonstration on the T5 with one seed, as `harness run --strategy all` does it."""
    multitask = load_multitask("multitask-t5")
    return {name: run_strategy(change(multitask, *line)) for name, line in LINES.items()}


def change(multitask: Multitask, strategy: str, settings: dict[str, Any]) -> Multitask:
    """Another strategy."""
    continual = multitask.continual.model_copy(update=settings)
    return multitask.model_copy(update={"strategy": strategy, "continual": continual})


def scores(run: MultitaskRun, task: int, stage: int) -> Floats:
    """Of each row of a task after a stage, in points: (rows,) float64."""
    subject = run.curriculum.subjects[task]
    return run.repeats[0][stage].arms[subject.name].score_matrix((subject.headline,))[:, 0]


def falls(run: MultitaskRun, task: int) -> Floats:
    """How far each row of a task fell from when it was learned to the end."""
    return scores(run, task, task + 1) - scores(run, task, -1)


def p_value(deltas: Floats) -> float:
    """Of "these are not above 0"."""
    evidence = Evidence(deltas=deltas[:, None, None], yes_no=(False,), level=0.05, flips=10_000)
    return evidence.p_values("greater")[0]


def earlier(run: MultitaskRun) -> range:
    """All tasks but the last."""
    return range(len(run.curriculum.names) - 1)


def of_all(run: MultitaskRun, stage: int) -> Floats:
    """The scores of the rows of all tasks."""
    return np.concatenate([scores(run, task, stage) for task in range(len(run.curriculum.names))])


@pytest.mark.slow
def test_sequential_forgets_every_earlier_task(runs: dict[str, MultitaskRun]) -> None:
    """Each task was learned (it beats the base), and fell."""
    run = runs["sequential"]
    for task in earlier(run):
        assert p_value(scores(run, task, task + 1) - scores(run, task, 0)) < 0.01
        assert p_value(falls(run, task)) < 0.01


@pytest.mark.slow
@pytest.mark.parametrize("name", ["replay", "ewc", "both"])
def test_holding_on_forgets_less(name: str, runs: dict[str, MultitaskRun]) -> None:
    """Over all earlier tasks rows fall less than in sequence; and not because less was learned: in the end the average
    over all tasks is higher.
    """
    run, plain = runs[name], runs["sequential"]
    less = np.concatenate([falls(plain, task) - falls(run, task) for task in earlier(run)])
    assert p_value(less) < 0.01
    assert p_value(of_all(run, -1) - of_all(plain, -1)) < 0.01


@pytest.mark.slow
def test_joint_is_near_the_single_models(runs: dict[str, MultitaskRun]) -> None:
    """All at once holds nearly all of what a model for each task knows, and far more than one after another."""
    joint, single, plain = (of_all(runs[name], -1) for name in ("joint", "single", "sequential"))
    assert p_value(joint - single + 10) < 0.01
    assert p_value(joint - plain) < 0.01
