"""All tasks at once: one stage, in which every step may see rows of each."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import ClassVar

from harness.config import TrainingSettings
from harness.errors import SettingsError
from harness.methods import Course
from harness.progress import NOTHING, Progress
from harness.strategies.mixing import Place, count_examples, plan_batches, share_tasks
from harness.strategies.shared import SharedModel
from harness.strategies.strategy import Strategy, Taught
from harness.strategies.together import require_plannable, teach_together


class Joint(Strategy[SharedModel]):
    """Fine-tunes all weights on a mixture of the tasks (Caruana 1997, "Multitask Learning").

    As many examples are seen as in all tasks alone; the mixing says whose they are.
    """

    name: ClassVar = "joint"

    @property
    def stages(self) -> tuple[tuple[str, ...], ...]:
        """One for all."""
        return (self.curriculum.names,)

    def begin(self) -> Taught[SharedModel]:
        """The base with a new head for each task.

        Raises:
            SettingsError: the tasks are not to be trained alike, or weights are given to tasks that there are not.
        """
        self._training  # noqa: B018 - raises
        unknown = self.curriculum.multitask.joint.weights.keys() - set(self.curriculum.names)
        if unknown:
            raise SettingsError(
                f"joint.weights names {', '.join(sorted(unknown))}; the tasks are {', '.join(self.curriculum.names)}.",
                fix="Name the weights by the tasks.",
            )
        return Taught(pupil=SharedModel.start(self.curriculum))

    def teach(self, stage: int, before: Taught[SharedModel], progress: Progress = NOTHING) -> Taught[SharedModel]:
        """Fine-tune the body and all heads."""
        courses = {subject.name: subject.course(self.seed) for subject in self.curriculum.subjects}
        weights = self.curriculum.multitask.joint.weights
        done = teach_together(
            before.pupil, courses, self.plan(courses), self._training, weights=weights, progress=progress
        )
        return Taught(
            pupil=done.pupil,
            losses=done.losses,
            trainable_parameters=done.trainable_parameters,
            facts=done.tell_mixture(courses),
        )

    def plan(self, courses: Mapping[str, Course]) -> list[list[Place]]:
        """Which examples come in which batch, over all epochs."""
        settings = self.curriculum.multitask.joint
        # What a task would see alone is its size: a task that is to have more epochs has more of the mixture.
        alone = {s.name: len(courses[s.name].features) * s.experiment.training.epochs for s in self.curriculum.subjects}
        shares = share_tasks(alone, settings.mixing, temperature=settings.temperature)
        return plan_batches(
            {task: len(course.features) for task, course in courses.items()},
            count_examples(shares, sum(alone.values())),
            batch_size=self._training.batch_size,
            one_task=settings.batches == "one-task",
            rng=random.Random(f"mix/{self.seed}"),
        )

    @property
    def _training(self) -> TrainingSettings:
        """The settings of the one training: those of every task, epochs aside."""
        kinds = {
            subject.name: subject.experiment.training.model_copy(update={"epochs": 1, "seed": self.seed})
            for subject in self.curriculum.subjects
        }
        first, *others = kinds
        for other in others:
            for name, value in kinds[other]:
                if value != getattr(kinds[first], name):
                    raise SettingsError(
                        f"training.{name} is {getattr(kinds[first], name)} for {first} and {value} for {other}.",
                        why="All tasks at once are one training, with one optimizer.",
                        fix="Give all tasks the same; only training.epochs may differ.",
                    )
        require_plannable(kinds[first])
        return kinds[first]
