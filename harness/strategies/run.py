"""The straight path over several tasks: every task is scored after every stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.multitask import Multitask
from harness.preparation import Say
from harness.progress import Progress
from harness.strategies import STRATEGIES
from harness.strategies.curriculum import Curriculum
from harness.strategies.lines import Line
from harness.strategies.stage import Stage, say_scores, score_pupil
from harness.strategies.strategy import Strategy
from harness.tuning import Clock


@dataclass(frozen=True, kw_only=True)
class MultitaskRun:
    """What a strategy left behind.

    Args:
        line: what the reports call it.
        multitask: what was run.
        curriculum: the tasks with their rows.
        repeats: for each seed its stages; the first stage of each is the base.
        seconds: how long each part took.
    """

    line: str
    multitask: Multitask
    curriculum: Curriculum
    repeats: tuple[tuple[Stage, ...], ...]
    seconds: Mapping[str, float]

    @property
    def learned(self) -> NDArray[np.int64]:
        """After which stage each task had been taught, counted from 1: (tasks,) int64."""
        taught = [stage.taught for stage in self.repeats[0]]
        return np.array(
            [next(line for line, names in enumerate(taught) if task in names) for task in self.curriculum.names]
        )

    def matrix(self, repeat: int = 0) -> NDArray[np.float64]:
        """R of one seed: the headline score of each task after each stage, (1 + stages, tasks) float64.

        The first line is the base's.
        """
        subjects = self.curriculum.subjects
        return np.array(
            [
                [stage.arms[subject.name].manifest.scores[subject.headline] for subject in subjects]
                for stage in self.repeats[repeat]
            ]
        )


def run_line(line: Line, curriculum: Curriculum, base: Stage, *, progress: Progress, say: Say) -> MultitaskRun:
    """One strategy over tasks that are ready, from a base that is scored.

    Args:
        line: the strategy.
        curriculum: the tasks; their settings are not yet those of the line.
        base: the base's arms.
        progress: where what is done is kept, and was.
        say: is told what happens.

    Raises:
        UsageError: the tasks cannot be taught so.
        TrainingError: a stage failed.
    """
    changed = curriculum.under(line.apply(curriculum.multitask))
    first, clock = changed.multitask.seed, Clock()
    repeats = tuple(
        _teach(
            line,
            STRATEGIES[line.strategy](curriculum=changed, seed=seed),
            base,
            progress.inside(line.name).inside(f"seed-{seed}").called(f"{line.name}, seed {seed}"),
            clock=clock,
            say=say,
        )
        for seed in range(first, first + changed.multitask.repeats)
    )
    return MultitaskRun(
        line=line.name, multitask=changed.multitask, curriculum=changed, repeats=repeats, seconds=clock.seconds
    )


def begin_line(line: Line, curriculum: Curriculum) -> None:
    """Make sure, before anything trains, that a strategy can teach these tasks.

    Raises:
        UsageError: it cannot.
    """
    changed = curriculum.under(line.apply(curriculum.multitask))
    STRATEGIES[line.strategy](curriculum=changed, seed=changed.multitask.seed).begin()


def _teach(
    line: Line, strategy: Strategy[Any], base: Stage, progress: Progress, *, clock: Clock, say: Say
) -> tuple[Stage, ...]:
    """All stages of one seed; what was trained and scored before is found, and not done again."""
    before, stages = strategy.begin(), [base]
    for number, tasks in enumerate(strategy.stages):
        kept = progress.inside(f"stage-{number + 1}").called(f"stage {number + 1}")
        with clock.stage("tune"):
            taught = strategy.teach(number, before, kept)
        with clock.stage("score"):
            arms = score_pupil(
                strategy.curriculum, taught.pupil, line.name, before=(before.pupil, stages[-1]), progress=kept
            )
        before = taught
        stages.append(
            Stage(
                taught=tasks,
                arms=arms,
                losses=taught.losses,
                trainable_parameters=taught.trainable_parameters,
                facts=taught.facts,
            )
        )
        say(f"{line.name}, after {' + '.join(tasks)}: {say_scores(strategy.curriculum, stages[-1])}")
    return tuple(stages)
