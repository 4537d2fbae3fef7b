"""One task after another, holding on to what was learned: rows are kept and trained on again, or weights are held.

Sources: Chaudhry et al. 2019, "On Tiny Episodic Memories in Continual Learning" (replay); Kirkpatrick et al. 2017,
"Overcoming catastrophic forgetting in neural networks" (EWC).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import torch

from harness.device import choose_device
from harness.errors import SettingsError
from harness.progress import NOTHING, Progress
from harness.strategies.classroom import list_examples, measure_rows
from harness.strategies.ewc import Penalty, copy_weights, estimate_fisher, make_even, select_weights
from harness.strategies.mixing import Place, plan_batches
from harness.strategies.reservoir import remember
from harness.strategies.sequential import teach_alone
from harness.strategies.shared import SharedModel
from harness.strategies.strategy import Strategy, Taught
from harness.strategies.together import require_plannable, teach_together
from harness.training import own_randomness

REPLAY, ANCHOR, FISHER = "replay/", "anchor/", "fisher/"
"""What a tensor in the memory is: row numbers of a task, a weight to hold on to, or its importance."""


class Continual(Strategy[SharedModel]):
    """Fine-tunes all weights on each task in turn, with replay, with EWC, or with both.

    Replay: a bounded number of training rows of earlier tasks is kept, equally many of each, and every epoch shows them
    as well, once each. EWC: the loss has a penalty on moving the body's weights that mattered; heads are free, for each
    is used by its own task only.
    """

    name: ClassVar = "continual"

    def begin(self) -> Taught[SharedModel]:
        """The base with a new head for each task.

        Raises:
            SettingsError: neither replay nor EWC is on, or a task is to be trained in a way that it cannot be.
        """
        settings, names = self.curriculum.multitask.continual, self.curriculum.names
        if not settings.replay and not settings.ewc:
            raise SettingsError(
                "continual.replay and continual.ewc are both 0.",
                why="Nothing would be held on to.",
                fix='Set one of them, or take the strategy "sequential".',
            )
        if 0 < settings.replay < len(names):
            raise SettingsError(
                f"continual.replay is {settings.replay}, for {len(names)} tasks.",
                why="Each task is to have the same number of rows in memory, and that would be none.",
                fix=f"Set continual.replay to {len(names)} or more.",
            )
        for subject in self.curriculum.subjects:
            require_plannable(subject.experiment.training)
        return Taught(pupil=SharedModel.start(self.curriculum))

    def teach(self, stage: int, before: Taught[SharedModel], progress: Progress = NOTHING) -> Taught[SharedModel]:
        """Fine-tune the body and the head of one task; the first is taught as there is nothing to hold on to yet."""
        (task,) = self.stages[stage]
        taught = self._teach_on(task, before, progress) if stage else teach_alone(self, task, before.pupil, progress)
        memory = {**self._keep_rows(task, before.memory), **self._weigh(task, taught.pupil, before.memory)}
        kept = {f"rows of {name} in memory": float(len(rows)) for name, rows in read_rows(memory).items()}
        return replace(taught, memory=memory, facts={**taught.facts, **kept})

    def _teach_on(self, task: str, before: Taught[SharedModel], progress: Progress) -> Taught[SharedModel]:
        subject, rows = self.curriculum[task], read_rows(before.memory)
        training = subject.experiment.training.model_copy(update={"seed": self.seed})
        courses = {name: self.curriculum[name].course(self.seed) for name in (task, *rows)}
        kept = {name: list_examples(courses[name], numbers) for name, numbers in rows.items()}
        # The plan counts the examples in memory from 0.
        sizes = {task: len(courses[task].features)} | {name: len(numbers) for name, numbers in kept.items()}
        planned = plan_batches(
            sizes,
            {name: size * training.epochs for name, size in sizes.items()},
            batch_size=training.batch_size,
            one_task=False,
            rng=random.Random(f"replay/{self.seed}/{task}"),
        )
        batches: list[list[Place]] = [
            [(name, number if name == task else kept[name][number]) for name, number in batch] for batch in planned
        ]
        penalty = self._make_penalty(before.memory)
        done = teach_together(before.pupil, courses, batches, training, weights={}, penalty=penalty, progress=progress)
        return Taught(
            pupil=done.pupil,
            losses=done.losses,
            trainable_parameters=done.trainable_parameters,
            facts=done.tell_mixture(courses),
        )

    def _keep_rows(self, task: str, memory: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The rows in memory once the task was learned, drawn from its training rows."""
        capacity = self.curriculum.multitask.continual.replay
        if not capacity:
            return {}
        count = len(self.curriculum[task].splits.train)
        rows = remember(
            read_rows(memory), task, count, capacity=capacity, rng=random.Random(f"keep/{self.seed}/{task}")
        )
        return {f"{REPLAY}{name}": torch.tensor(numbers) for name, numbers in rows.items()}

    def _weigh(self, task: str, pupil: SharedModel, memory: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Where the weights are once the task was learned, and how they mattered for it and the tasks before, alike."""
        settings = self.curriculum.multitask.continual
        if not settings.ewc:
            return {}
        subject = self.curriculum[task]
        count = len(subject.splits.train)
        rows = random.Random(f"fisher/{self.seed}/{task}").sample(range(count), min(count, settings.fisher_rows))
        model = pupil.for_task(task).to(choose_device())
        weights = select_weights(model, pupil.body)
        nats = measure_rows(model, subject.course(self.seed), rows, subject.experiment.training)
        # It is not kept: after a kill it is found anew, and the next stage is to be the same.
        with own_randomness(self.seed):
            fisher = make_even(estimate_fisher(weights, nats))
        before = {name: memory[FISHER + name] for name in weights if FISHER + name in memory}
        summed = {name: importance + before.get(name, 0.0) for name, importance in fisher.items()}
        return {
            **{ANCHOR + name: weight for name, weight in copy_weights(weights).items()},
            **{FISHER + name: importance for name, importance in summed.items()},
        }

    def _make_penalty(self, memory: Mapping[str, torch.Tensor]) -> Penalty | None:
        strength = self.curriculum.multitask.continual.ewc
        anchor, fisher = (
            {name.removeprefix(kind): tensor for name, tensor in memory.items() if name.startswith(kind)}
            for kind in (ANCHOR, FISHER)
        )
        return Penalty(anchor, fisher, strength=strength) if anchor else None


def read_rows(memory: Mapping[str, torch.Tensor]) -> dict[str, list[int]]:
    """For each task the numbers of its training rows that are in memory."""
    return {name.removeprefix(REPLAY): rows.tolist() for name, rows in memory.items() if name.startswith(REPLAY)}
