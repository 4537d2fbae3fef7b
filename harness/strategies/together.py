"""One training on several tasks: planned batches, each with examples of one task or of several."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch

from harness.config import TrainingSettings
from harness.errors import SettingsError
from harness.lesson import Lesson
from harness.methods import Course
from harness.progress import NOTHING, Progress
from harness.strategies.classroom import Classroom
from harness.strategies.ewc import Penalty
from harness.strategies.mixing import Place
from harness.strategies.shared import SharedModel
from harness.tasks.task import IGNORE_INDEX, Batch, Collator, Features
from harness.training import choose_loss, fine_tune


@dataclass(frozen=True, kw_only=True)
class Together:
    """What came of training on several tasks at once.

    Args:
        pupil: what learned.
        losses: of each step, the penalty included.
        trainable_parameters: how many weights were allowed to move.
        seen: how many examples of each task went through the model in training.
    """

    pupil: SharedModel
    losses: tuple[float, ...]
    trainable_parameters: int
    seen: Mapping[str, int]

    def tell_mixture(self, courses: Mapping[str, Course]) -> dict[str, float]:
        """The real share of each task, and how often its examples were seen, for the reports."""
        total = sum(self.seen.values())
        shares = {f"share of {task}": self.seen[task] / total for task in courses}
        return shares | {f"epochs of {task}": self.seen[task] / len(courses[task].features) for task in courses}


def teach_together(
    pupil: SharedModel,
    courses: Mapping[str, Course],
    batches: Sequence[Sequence[Place]],
    settings: TrainingSettings,
    *,
    weights: Mapping[str, float],
    penalty: Penalty | None = None,
    progress: Progress = NOTHING,
) -> Together:
    """Train a copy of the pupil on planned batches.

    Args:
        pupil: what learns; it is not changed.
        courses: for each task what is taught of it.
        batches: which examples come in which batch, of all epochs.
        settings: of the training; how long it is and how large batches are stands in ``batches``.
        weights: what a task's loss is multiplied by; 1 where it is not named.
        penalty: of leaving an anchor.
        progress: where the training is kept, and was.

    Raises:
        SettingsError: the tasks cannot be trained so.
        NonFiniteLossError: the loss became infinite or not a number.
    """
    models = {task: pupil.for_task(task) for task in courses}
    losses = {task: choose_loss(models[task], course, settings) for task, course in courses.items()}
    trained = fine_tune(
        Classroom(models, [*pupil.body], losses, penalty),
        Lesson(
            tokenizer=next(iter(courses.values())).tokenizer,
            features=list(_write_plan(courses, batches, weights, accumulation=settings.accumulation)),
            collator=_collate_plan({task: course.collator for task, course in courses.items()}),
            smooths=True,
            ordered=True,
            progress=progress,
        ),
        settings.model_copy(update={"epochs": 1, "batch_size": 1}),
    )
    classroom: Classroom = trained.model
    return Together(
        pupil=pupil.learned(dict(zip(classroom.names, classroom.models, strict=True))),
        losses=trained.losses,
        trainable_parameters=trained.trainable_parameters,
        seen=dict(zip(classroom.names, classroom.seen.tolist(), strict=True)),
    )


def require_plannable(settings: TrainingSettings) -> None:
    """Make sure that batches can be planned ahead.

    Raises:
        SettingsError: they cannot.
    """
    if settings.patience is not None:
        raise SettingsError(
            f"training.patience is {settings.patience}, and a strategy that trains on several tasks at once cannot "
            "stop early.",
            why="Each task would do best after another epoch, and the body is one.",
            fix='Leave training.patience out, or take the strategy "sequential".',
        )


def weigh_parts(
    step: Sequence[Sequence[Place]], items: Mapping[str, Sequence[int]], weights: Mapping[str, float]
) -> list[dict[str, float]]:
    """What the mean loss of each part of each batch counts, so that a step does not depend on how it is divided.

    A step's loss is the sum over its tasks of: weight * share of the step's examples * mean loss over all items of the
    task in the step. So a task's share of the gradient is its share of the mixture, be its targets long or short. A
    mean over a part becomes a part of the mean over the step by the share of the items that it has; and `Trainer` will
    take the mean over the batches of the step, hence the number of batches.

    Args:
        step: the batches of one optimizer step.
        items: for each task how many labels each of its examples has.
        weights: what a task's loss is multiplied by; 1 where it is not named.
    """
    examples = Counter(task for batch in step for task, _ in batch)
    total = _count_items([place for batch in step for place in batch], items)
    return [
        {
            task: weights.get(task, 1.0) * examples[task] / examples.total() * count / total[task] * len(step)
            for task, count in _count_items(batch, items).items()
        }
        for batch in step
    ]


def _count_items(places: Sequence[Place], items: Mapping[str, Sequence[int]]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for task, number in places:
        counts[task] += items[task][number]
    return counts


def _write_plan(
    courses: Mapping[str, Course],
    batches: Sequence[Sequence[Place]],
    weights: Mapping[str, float],
    *,
    accumulation: int,
) -> Iterator[Features]:
    """Each batch as one example of the classroom: for each task its examples, and what their loss counts."""
    items = {task: [_count_labels(example) for example in course.features] for task, course in courses.items()}
    for start in range(0, len(batches), accumulation):
        step = batches[start : start + accumulation]
        for batch, counts in zip(step, weigh_parts(step, items, weights), strict=True):
            parts: dict[str, list[Features]] = defaultdict(list)
            for task, number in batch:
                parts[task].append(courses[task].features[number])
            yield {"parts": dict(parts), "weights": counts}


def _count_labels(example: Features) -> int:
    """How many labels an example has; one, where it is a class or a span."""
    labels = example.get("labels")
    return sum(label != IGNORE_INDEX for label in labels) if isinstance(labels, list) else 1


def _collate_plan(collators: Mapping[str, Collator]) -> Collator:
    def collate(planned: list[Features]) -> Batch:
        (batch,) = planned
        return {
            "parts": {task: dict(collators[task]([*map(dict, part)])) for task, part in batch["parts"].items()},
            "weights": {task: torch.tensor(weight) for task, weight in batch["weights"].items()},
        }

    return collate
