"""One task after another, each on what the last one left: the plain way, and the one that forgets."""

from __future__ import annotations

from typing import ClassVar

from harness.progress import NOTHING, Progress
from harness.strategies.shared import SharedModel
from harness.strategies.strategy import Strategy, Taught
from harness.training import fine_tune


class Sequential(Strategy[SharedModel]):
    """Fine-tunes all weights on each task in turn."""

    name: ClassVar = "sequential"

    def begin(self) -> Taught[SharedModel]:
        """The base with a new head for each task."""
        return Taught(pupil=SharedModel.start(self.curriculum))

    def teach(self, stage: int, before: Taught[SharedModel], progress: Progress = NOTHING) -> Taught[SharedModel]:
        """Fine-tune the body and the head of one task."""
        (task,) = self.stages[stage]
        return teach_alone(self, task, before.pupil, progress)


def teach_alone(
    strategy: Strategy[SharedModel], task: str, pupil: SharedModel, progress: Progress
) -> Taught[SharedModel]:
    """Fine-tune a pupil on one task, with nothing to hold on to the others."""
    course = strategy.curriculum[task].course(strategy.seed, progress)
    trained = fine_tune(pupil.for_task(task), course, course.form.experiment.training)
    return Taught(
        pupil=pupil.learned({task: trained.model}),
        losses=trained.losses,
        trainable_parameters=trained.trainable_parameters,
    )
