"""The straight path over several tasks: every task is scored after every stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.multitask import Multitask
from harness.preparation import Say
from harness.strategies import STRATEGIES
from harness.strategies.curriculum import Curriculum, prepare_curriculum
from harness.strategies.lines import Line, choose_line
from harness.strategies.progress import Progress, open_progress
from harness.strategies.stage import Stage, say_scores, score_base, score_pupil
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


def run_strategy(multitask: Multitask, *, progress: Path | None = None, say: Say = lambda _: None) -> MultitaskRun:
    """Teach one model several tasks by the strategy of the settings, and score all of them after each stage.

    Args:
        multitask: what to run.
        progress: a folder for whole stages. A run that was killed goes on from those that it finds there, and ends with
            the numbers that it would have had; they stay there until `Progress.clear`.
        say: is told what happens.

    Raises:
        UsageError: a setting, the data or the model cannot be used, or tasks clash; nothing was trained.
        TrainingError: a stage failed.
    """
    line = choose_line(multitask.strategy)
    clock = Clock()
    curriculum = prepare_curriculum(multitask, clock=clock, say=say)
    begin_line(line, curriculum)
    with clock.stage("base"):
        base = score_base(curriculum)
        say(f"base: {say_scores(curriculum, base)}")
    return run_line(line, curriculum, base, progress=progress, clock=clock, say=say)


def run_line(
    line: Line, curriculum: Curriculum, base: Stage, *, progress: Path | None, clock: Clock, say: Say
) -> MultitaskRun:
    """One strategy over tasks that are ready, from a base that is scored.

    Args:
        line: the strategy.
        curriculum: the tasks; their settings are not yet those of the line.
        base: the base's arms.
        progress: see `run_strategy`.
        clock: takes the time of each part.
        say: is told what happens.

    Raises:
        UsageError: the tasks cannot be taught so.
        TrainingError: a stage failed.
    """
    changed = curriculum.under(line.apply(curriculum.multitask))
    first = changed.multitask.seed
    with open_progress(progress, changed) as kept:
        repeats = tuple(
            _teach(line, STRATEGIES[line.strategy](curriculum=changed, seed=seed), base, kept, clock=clock, say=say)
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
    line: Line, strategy: Strategy[Any], base: Stage, kept: Progress | None, *, clock: Clock, say: Say
) -> tuple[Stage, ...]:
    """All stages of one seed, from the last whole one that was kept."""
    before, stages = strategy.begin(), [base]
    if kept is not None:
        found, before = kept.read(strategy.seed, before)
        stages += found
        if found:
            say(f"{line.name}, seed {strategy.seed}: {len(found)} of {len(strategy.stages)} stages are done already")
    for number in range(len(stages) - 1, len(strategy.stages)):
        tasks = strategy.stages[number]
        with clock.stage("tune"):
            taught = strategy.teach(number, before)
        with clock.stage("score"):
            arms = score_pupil(strategy.curriculum, taught.pupil, line.name, before=(before.pupil, stages[-1]))
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
        if kept is not None:
            kept.write(strategy.seed, number, stages[-1], before)
        say(f"{line.name}, after {' + '.join(tasks)}: {say_scores(strategy.curriculum, stages[-1])}")
    return tuple(stages)
