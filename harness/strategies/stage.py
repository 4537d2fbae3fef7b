"""What a stage left behind to be judged: every task's arm, and how the training went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from harness.arm import Arm, Role
from harness.progress import NOTHING, Progress
from harness.scoring import score_arm
from harness.strategies.curriculum import Curriculum, Subject
from harness.strategies.pupil import Pupil

P = TypeVar("P", bound=Pupil)


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
    facts: Mapping[str, float] = field(default_factory=dict)


def score_base(curriculum: Curriculum, progress: Progress = NOTHING) -> Stage:
    """The base, before any task; its arms may have been kept."""
    return Stage(
        taught=(),
        arms={
            subject.name: _score(subject, subject.ready.loaded.model, "base", progress)
            for subject in curriculum.subjects
        },
    )


def score_pupil(
    curriculum: Curriculum, pupil: P, line: str, *, before: tuple[P, Stage], progress: Progress = NOTHING
) -> dict[str, Arm]:
    """Every task's arm, as the pupil answers it.

    Args:
        curriculum: the tasks.
        pupil: what learned.
        line: what the manifests name as the way in which it did.
        before: the pupil of the stage before, and what came of it.
        progress: of this stage alone: what the pupil promises of an earlier task is seen by asking it anew.
    """
    earlier, stage = before
    known = {name for name in curriculum.names if stage.taught and pupil.answers_as(earlier, name)}
    return {
        subject.name: stage.arms[subject.name]
        if subject.name in known
        else _score(subject, pupil.for_task(subject.name), "tuned", progress, method=line)
        for subject in curriculum.subjects
    }


def say_scores(curriculum: Curriculum, stage: Stage) -> str:
    """The headline score of each task in a few words."""
    told = [
        f"{subject.name} {stage.arms[subject.name].manifest.scores[subject.headline]:.1f}"
        for subject in curriculum.subjects
    ]
    return ", ".join(told)


def _score(subject: Subject, model: Any, role: Role, progress: Progress, method: str | None = None) -> Arm:
    ready = subject.ready
    return score_arm(
        subject.experiment,
        role,
        ready.loaded.with_weights_of(model),
        form=ready.form,
        scorer=ready.scorer,
        encoded=ready.evaluation,
        splits=subject.splits,
        settings=subject.settings,
        method=method,
        progress=progress.inside(subject.name).called(subject.name),
    )
