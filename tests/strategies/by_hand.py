"""Runs over several tasks whose arms are made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.arm import Arm
from harness.config import Experiment
from harness.data.rows import Row, Splits
from harness.multitask import Multitask
from harness.strategies.curriculum import Curriculum, Subject
from harness.strategies.run import MultitaskRun
from harness.strategies.stage import Stage
from tests.arms import make_arm

Scores = Sequence[NDArray[np.float64]]
"""For each task (lines, rows) float64."""


def make_run(
    seeds: Sequence[Scores],
    *,
    taught: Sequence[Sequence[int]],
    line: str = "sequential",
    **settings: Any,
) -> MultitaskRun:
    """A run with these scores of rouge1.

    Args:
        seeds: for each seed the scores of each task.
        taught: for each stage the numbers of the tasks that it taught.
        line: the name of the strategy.
        settings: of the gate.
    """
    names = [f"task-{number}" for number in range(len(seeds[0]))]
    experiments = tuple(Experiment(name=name) for name in names)
    multitask = Multitask.model_validate(
        {"name": "x", "tasks": experiments, "repeats": len(seeds), "gate": {"flips": 1000, **settings}}
    )
    splits = Splits(train=(Row(id="0", input="one", target="t"),), eval=(Row(id="1", input="other", target="t"),))
    subjects = tuple(
        Subject(experiment=experiment, splits=splits, ready=None)  # type: ignore[arg-type]
        for experiment in experiments
    )
    return MultitaskRun(
        line=line,
        multitask=multitask,
        curriculum=Curriculum(multitask=multitask, subjects=subjects),
        repeats=tuple(_make_stages(scores, names, [(), *taught]) for scores in seeds),
        seconds={"tune": 1.0},
    )


def _make_stages(scores: Scores, names: Sequence[str], taught: Sequence[Sequence[int]]) -> tuple[Stage, ...]:
    return tuple(
        Stage(
            taught=tuple(names[number] for number in numbers),
            arms={name: _make_arm(of_task[place]) for name, of_task in zip(names, scores, strict=True)},
            losses=(2.0, 1.0) if numbers else (),
        )
        for place, numbers in enumerate(taught)
    )


def _make_arm(scores: NDArray[np.float64]) -> Arm:
    values: Mapping[str, list[float]] = {"rouge1": scores.round(4).tolist()}
    return make_arm(dict(values), outputs=[f"scores {value}" for value in values["rouge1"]])
