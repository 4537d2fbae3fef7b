"""The pipeline of a run over several tasks, so that the checks hold the strategies to their rules."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.checks.learner import Learner
from harness.checks.parts import MultitaskParts
from harness.checks.pipeline import Declared, Pipeline
from harness.data.columns import Record
from harness.data.rows import Row
from harness.experiment import make_course
from harness.methods import Course
from harness.multitask import DEFAULT_PRESET, Multitask, load_multitask
from harness.statistics import transfer
from harness.strategies import STRATEGIES, ewc
from harness.strategies.adapter_set import AdapterSet
from harness.strategies.adapters import Adapters
from harness.strategies.classroom import measure_rows
from harness.strategies.continual import Continual, read_rows
from harness.strategies.curriculum import Curriculum, Subject, prepare_curriculum
from harness.strategies.joint import Joint
from harness.strategies.lines import choose_line
from harness.strategies.strategy import Strategy, Taught
from harness.tasks.task import EncodedRow
from harness.tuning import Clock

ROWS = {"train": 48, "eval": 24}
"""How many rows of each split of a task the checks look at, at most."""


def pipeline_of_tasks(multitask: Multitask) -> Pipeline:
    """What a run over several tasks does, part by part, as checks take it.

    Raises:
        UsageError: the data or the model of a task cannot be used, or tasks clash.
    """
    curriculum = prepare_curriculum(multitask, clock=Clock(), say=lambda _: None)
    own = OwnTasks(curriculum=replace(curriculum, subjects=tuple(map(_cut, curriculum.subjects))))
    strategy = own.strategy
    parts: dict[str, Any] = {}
    if isinstance(strategy, Joint):
        parts["mixture"] = own.mix
    else:
        parts["train_task"] = own.train_task
    if isinstance(strategy, Continual):
        settings = multitask.continual
        if settings.replay:
            parts["replay_buffer"] = own.fill_memory
        if settings.ewc:
            parts |= {"fisher": own.fisher, "anchor": own.anchor, "penalty": own.penalty}
    return Pipeline(
        name=f"{multitask.name}, {multitask.strategy}",
        declared=Declared(mixture=own.declared_shares() if isinstance(strategy, Joint) else None),
        make_model=own.make_model,
        save=lambda model, folder: model.to_pupil().save(Path(folder)),
        load=own.load,
        multitask=MultitaskParts(
            tasks=own.tasks,
            add_task=own.add_task,
            predict=own.predict,
            loss=own.loss,
            forgetting=lambda scores: transfer.forgetting(*_with_base(scores)),
            backward_transfer=lambda scores: transfer.backward_transfer(*_with_base(scores)),
            **parts,
        ),
    )


def find_tasks(choice: str | None, strategy: str) -> Pipeline:
    """What a line of the reports, as ``joint``, does with the tasks of a preset or file; by default the embedded ones.

    Raises:
        UsageError: there is no such file or line, or its tasks cannot be used.
    """
    return pipeline_of_tasks(choose_line(strategy).apply(load_multitask(choice or DEFAULT_PRESET)))


@dataclass(frozen=True, kw_only=True)
class OwnTasks:
    """The parts of a run over several tasks, over records.

    Args:
        curriculum: the tasks.
    """

    curriculum: Curriculum

    @cached_property
    def strategy(self) -> Strategy[Any]:
        """The strategy of the settings."""
        multitask = self.curriculum.multitask
        return STRATEGIES[multitask.strategy](curriculum=self.curriculum, seed=multitask.seed)

    def tasks(self) -> dict[str, dict[str, list[Record]]]:
        """The records of each task."""
        return {
            subject.name: {
                split: [subject.ready.form.task.write(row) for row in rows]
                for split, rows in (("train", subject.splits.train), ("eval", subject.splits.eval))
            }
            for subject in self.curriculum.subjects
        }

    def make_model(self, seed: int = 0) -> Learner:
        """The base; it comes from a file, so the seed draws nothing."""
        return Learner(self.strategy.begin().pupil, ())

    def add_task(self, model: Learner, task: str) -> Learner:
        """A learner that can be asked for one more task; where tasks have adapters, with a new one."""
        pupil = model.to_pupil()
        if isinstance(self.strategy, Adapters) and isinstance(pupil, AdapterSet) and task not in pupil.adapters:
            form = self.curriculum[task].ready.form
            wrapped = self.strategy.method.wrap(pupil.templates[task], form, seed=self.strategy.seed)
            pupil = pupil.learned(task, wrapped)
        return Learner(pupil, dict.fromkeys((*model.names, task)))

    def train_task(self, model: Learner, task: str, rows: Sequence[Record]) -> Learner:
        """A learner that the strategy has taught one more task, from these rows."""
        taught = self._with_rows(task, rows).teach(
            self.curriculum.names.index(task), Taught(pupil=model.to_pupil(), memory=model.memory)
        )
        return Learner(taught.pupil, dict.fromkeys((*model.names, task)), taught.memory)

    def _with_rows(self, task: str, records: Sequence[Record]) -> Strategy[Any]:
        """The strategy, with these training rows of one task."""
        subject = self.curriculum[task]
        rows, encoded = self._read(task, records)
        changed = replace(
            subject, splits=replace(subject.splits, train=rows), ready=replace(subject.ready, train=encoded)
        )
        subjects = tuple(changed if one is subject else one for one in self.curriculum.subjects)
        return replace(self.strategy, curriculum=replace(self.curriculum, subjects=subjects))

    def _read(self, task: str, records: Sequence[Record]) -> tuple[tuple[Row, ...], list[EncodedRow]]:
        """The rows of records, and their token ids."""
        form, loaded = self.curriculum[task].ready.form, self.curriculum[task].ready.loaded
        rows = tuple(form.task.read_record(record, number) for number, record in enumerate(records))
        return rows, form.encode(rows, loaded)

    def _course(self, task: str, records: Sequence[Record]) -> Course:
        ready = self.curriculum[task].ready
        return make_course(ready.form, ready.loaded, *self._read(task, records), ready.collator)

    def predict(self, model: Learner, task: str, rows: Sequence[Record]) -> torch.Tensor:
        """The logits of rows: of classes, of tags, of starts and ends, or of the targets' tokens."""
        course = self._course(task, rows)
        outputs = model.of(task)(**course.collator([dict(example) for example in course.features]))
        if "logits" in outputs:
            logits: torch.Tensor = outputs["logits"]
            return logits
        return torch.stack([outputs["start_logits"], outputs["end_logits"]], -1)

    def loss(self, model: Learner, task: str, rows: Sequence[Record]) -> torch.Tensor:
        """The mean of the rows' negative log-likelihoods, in nats."""
        return torch.stack([*self._nats(model, task, rows)]).mean()

    def _nats(self, model: Learner, task: str, rows: Sequence[Record]) -> Iterator[torch.Tensor]:
        course = self._course(task, rows)
        training = self.curriculum[task].experiment.training
        return measure_rows(model.of(task), course, range(len(rows)), training)

    def mix(self, seed: int = 0) -> Iterator[tuple[str, Record]]:
        """What one training on all tasks consumes."""
        strategy = replace(self.strategy, seed=seed)
        assert isinstance(strategy, Joint)  # noqa: S101 - no other strategy is given this part
        courses = {subject.name: subject.course(seed) for subject in self.curriculum.subjects}
        for batch in strategy.plan(courses):
            for task, example in batch:
                groups = courses[task].groups
                assert groups is not None  # noqa: S101 - the harness's own courses have them
                yield task, _write(courses[task], groups[example])

    def declared_shares(self) -> Mapping[str, float]:
        """The shares that the settings mean, from their definition."""
        settings = self.curriculum.multitask.joint
        power = {"proportional": 1.0, "temperature": 1 / settings.temperature, "equal": 0.0}[settings.mixing]
        sizes = {
            subject.name: sum(len(row.features) for row in subject.ready.train) * subject.experiment.training.epochs
            for subject in self.curriculum.subjects
        }
        total = sum(size**power for size in sizes.values())
        return {task: size**power / total for task, size in sizes.items()}

    def fill_memory(self) -> dict[str, list[Record]]:
        """What is in memory after each task but the last."""
        courses = {subject.name: subject.course(self.strategy.seed) for subject in self.curriculum.subjects}
        before, filled = self.strategy.begin(), {}
        for number, task in enumerate(self.curriculum.names[:-1]):
            before = self.strategy.teach(number, before)
            kept = read_rows(before.memory)
            filled[task] = [_write(courses[name], row) for name, rows in kept.items() for row in rows]
        return filled

    def fisher(self, model: Learner, task: str, rows: Sequence[Record]) -> dict[str, torch.Tensor]:
        """The importance of the shared weights for a task."""
        weights = ewc.select_weights(model.of(task), model.shared)
        return model.rename(ewc.estimate_fisher(weights, self._nats(model, task, rows)))

    def anchor(self, model: Learner) -> dict[str, torch.Tensor]:
        """The shared weights as they are now."""
        return model.rename(ewc.copy_weights(ewc.select_weights(model.models[0], model.shared)))

    def penalty(
        self, model: Learner, anchor: Mapping[str, torch.Tensor], fisher: Mapping[str, torch.Tensor]
    ) -> torch.Tensor:
        """What it costs to have left the anchor, at strength 1."""
        cost: torch.Tensor = ewc.Penalty(anchor, fisher, strength=1.0)(dict(model.named_parameters()))
        return cost

    def load(self, folder: Path) -> Learner:
        """A saved learner, with all tasks."""
        return Learner(self.strategy.begin().pupil.restore(Path(folder)), self.curriculum.names)


def _cut(subject: Subject) -> Subject:
    """A task with as many rows as the checks look at."""
    train, evaluation = (slice(ROWS[name]) for name in ("train", "eval"))
    splits, ready = subject.splits, subject.ready
    return replace(
        subject,
        splits=replace(splits, train=splits.train[train], eval=splits.eval[evaluation]),
        ready=replace(ready, train=ready.train[train], evaluation=ready.evaluation[evaluation]),
    )


def _write(course: Course, row: int) -> Record:
    """The record of a training row, by its number."""
    return course.form.task.write(course.rows[row])


def _with_base(scores: Any) -> tuple[Any, Any]:
    """R with a line for the base, of which nothing is asked, and after which line each task was learned."""
    table = np.asarray(scores, dtype=np.float64)
    return np.vstack([np.full(table.shape[1], np.nan), table]), np.arange(1, len(table) + 1)
