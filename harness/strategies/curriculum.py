"""The tasks that one model is to learn, each made ready as for a run of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

from harness import processes
from harness.config import Experiment
from harness.data.rows import Splits
from harness.data.source import load_splits
from harness.experiment import make_course
from harness.multitask import Multitask
from harness.preparation import Ready, Say, prepare, require_names
from harness.progress import NOTHING, Progress
from harness.strategies.clashes import require_no_clash
from harness.tasks import TASKS
from harness.tuning import Clock

if TYPE_CHECKING:
    from harness.generation.engine import Resolved
    from harness.methods import Course


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One of the tasks.

    Args:
        experiment: its settings; its name is the task's name in all reports.
        splits: its rows.
        ready: form, base, encoded rows, scorer.
    """

    experiment: Experiment
    splits: Splits
    ready: Ready

    @property
    def name(self) -> str:
        """By which the task is known among the others."""
        return self.experiment.name

    @property
    def headline(self) -> str:
        """The score that stands for the task."""
        return TASKS[self.experiment.task].headline

    @cached_property
    def settings(self) -> Resolved:
        """The generation settings of every arm of the task, resolved once, from the base."""
        return self.ready.form.resolve(self.ready.loaded)

    def course(self, seed: int, progress: Progress = NOTHING) -> Course:
        """What is taught of its training rows, with the seed of a repeat, and where that is kept."""
        ready = self.ready
        seeded = replace(ready.form, experiment=self.experiment.override({"training.seed": seed}))
        course = make_course(seeded, ready.loaded, self.splits.train, ready.train, ready.collator)
        return replace(course, progress=progress)


@dataclass(frozen=True, kw_only=True)
class Curriculum:
    """All of the tasks, in the order in which they are learned.

    Args:
        multitask: the settings.
        subjects: the tasks.
    """

    multitask: Multitask
    subjects: Sequence[Subject]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the tasks."""
        return tuple(subject.name for subject in self.subjects)

    def under(self, multitask: Multitask) -> Curriculum:
        """The same tasks, ready as they are, under other settings of the strategy."""
        return replace(self, multitask=multitask)

    def __getitem__(self, name: str) -> Subject:
        """The task of that name."""
        return self.subjects[self.names.index(name)]


def prepare_curriculum(multitask: Multitask, *, clock: Clock, say: Say) -> Curriculum:
    """Make every task ready, so that all that can be wrong is said before anything trains.

    Raises:
        UsageError: a setting, the data or the model of a task cannot be used, or tasks clash.
    """
    processes.require_one("A strategy over several tasks", why="Its stages are kept by the process that taught them.")
    subjects = []
    for experiment in multitask.tasks:
        require_names(experiment)
        with clock.stage("rows"):
            splits = load_splits(experiment.data, TASKS[experiment.task])
        say(f"{experiment.name}: {len(splits.train)} training and {len(splits.eval)} evaluation rows, none in both")
        ready = prepare(experiment, splits, audit=None, clock=clock, say=lambda _: None)
        subjects.append(Subject(experiment=experiment, splits=splits, ready=ready))
    require_no_clash(subjects)
    return Curriculum(multitask=multitask, subjects=tuple(subjects))
