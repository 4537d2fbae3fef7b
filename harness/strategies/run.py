"""The straight path over several tasks: every task is scored after every stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.arm import Arm, Role
from harness.multitask import Multitask
from harness.preparation import Say
from harness.scoring import score_arm
from harness.strategies import STRATEGIES
from harness.strategies.curriculum import Curriculum, Subject, prepare_curriculum
from harness.strategies.pupil import Pupil
from harness.tuning import Clock


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What came of one stage.

    Args:
        taught: the tasks that it taught; none for the base.
        arms: every task as the model answers it then, by the task's name.
        losses: the training loss of each step.
        trainable_parameters: how many weights were allowed to move.
        facts: numbers of the strategy's own.
    """

    taught: tuple[str, ...]
    arms: Mapping[str, Arm]
    losses: tuple[float, ...] = ()
    trainable_parameters: int = 0
    facts: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class MultitaskRun:
    """What a run over several tasks left behind.

    Args:
        multitask: what was run.
        curriculum: the tasks with their rows.
        repeats: for each seed its stages; the first stage of each is the base.
        seconds: how long each part took.
    """

    multitask: Multitask
    curriculum: Curriculum
    repeats: tuple[tuple[Stage, ...], ...]
    seconds: Mapping[str, float]

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


def run_strategy(multitask: Multitask, *, say: Say = lambda _: None) -> MultitaskRun:
    """Teach one model several tasks, and score all of them after each stage.

    Raises:
        UsageError: a setting, the data or the model cannot be used, or tasks clash; nothing was trained.
        TrainingError: a stage failed.
    """
    clock = Clock()
    STRATEGIES.require(multitask.strategy)
    curriculum = prepare_curriculum(multitask, clock=clock, say=say)
    with clock.stage("base"):
        strategy = STRATEGIES[multitask.strategy](curriculum=curriculum, seed=multitask.seed)
        base = Stage(taught=(), arms=_score_each(curriculum, strategy.begin().pupil, "base"), facts={})
        say(f"base: {_say_scores(curriculum, base)}")
    repeats = []
    for seed in range(multitask.seed, multitask.seed + multitask.repeats):
        strategy = STRATEGIES[multitask.strategy](curriculum=curriculum, seed=seed)
        before, stages = strategy.begin(), [base]
        for number, tasks in enumerate(strategy.stages):
            with clock.stage("tune"):
                before = strategy.teach(number, before)
            with clock.stage("score"):
                arms = _score_each(curriculum, before.pupil, "tuned")
            stages.append(
                Stage(
                    taught=tasks,
                    arms=arms,
                    losses=before.losses,
                    trainable_parameters=before.trainable_parameters,
                    facts=before.facts,
                )
            )
            say(f"after {' + '.join(tasks)}: {_say_scores(curriculum, stages[-1])}")
        repeats.append(tuple(stages))
    return MultitaskRun(multitask=multitask, curriculum=curriculum, repeats=tuple(repeats), seconds=clock.seconds)


def _score_each(curriculum: Curriculum, pupil: Pupil, role: Role) -> dict[str, Arm]:
    """The arm of each task."""
    return {subject.name: _score(curriculum, subject, pupil, role) for subject in curriculum.subjects}


def _score(curriculum: Curriculum, subject: Subject, pupil: Pupil, role: Role) -> Arm:
    ready = subject.ready
    settings: dict[str, Any] = {} if role == "base" else {"method": curriculum.multitask.strategy}
    return score_arm(
        subject.experiment,
        role,
        ready.loaded.with_weights_of(pupil.for_task(subject.name)),
        form=ready.form,
        scorer=ready.scorer,
        encoded=ready.evaluation,
        splits=subject.splits,
        settings=subject.settings,
        **settings,
    )


def _say_scores(curriculum: Curriculum, stage: Stage) -> str:
    """The headline score of each task in a few words."""
    told = [
        f"{subject.name} {stage.arms[subject.name].manifest.scores[subject.headline]:.1f}"
        for subject in curriculum.subjects
    ]
    return ", ".join(told)
