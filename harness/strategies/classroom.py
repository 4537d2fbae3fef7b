"""A room for several tasks: their models share a body, and a batch's loss is a weighted sum of theirs."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from harness.config import TrainingSettings
from harness.early_stopping import count_labels
from harness.lesson import Loss
from harness.methods import Course
from harness.strategies.ewc import Penalty
from harness.tasks.task import Batch
from harness.training import choose_loss


class Classroom(torch.nn.Module):
    """The models of several tasks as one module, which `Trainer` can train.

    Args:
        models: by the task's name; what is shared is made one here.
        shared: the names of the weights and buffers that they share.
        losses: takes the place of a model's own loss, by the task's name.
        penalty: of leaving an anchor, added to every step's loss; its weights are named as in the first model.

    Attributes:
        seen: how many examples of each task went through `forward`, (tasks,) int64.
    """

    seen: torch.Tensor
    supports_gradient_checkpointing = False

    def __init__(
        self,
        models: Mapping[str, PreTrainedModel],
        shared: Sequence[str],
        losses: Mapping[str, Loss | None],
        penalty: Penalty | None = None,
    ) -> None:
        super().__init__()
        self.names = tuple(models)
        self.models = torch.nn.ModuleList(models.values())
        self.losses = dict(losses)
        self.penalty = penalty
        # A buffer: a training that goes on from a checkpoint goes on counting.
        self.register_buffer("seen", torch.zeros(len(models), dtype=torch.int64))
        first, *others = self.models
        for other in others:
            tie(other, first, shared)
        # Checkpoints are files of safetensors, in which no two weights may share their memory.
        self.register_state_dict_post_hook(_leave_out_shared)  # type: ignore[no-untyped-call]
        self.register_load_state_dict_post_hook(_miss_no_shared)  # type: ignore[no-untyped-call]

    def can_generate(self) -> bool:
        """Its models do; it does not."""
        return False

    def forward(self, parts: Mapping[str, Batch], weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The loss of a batch: the weighted sum of the parts' mean losses, and the penalty.

        Args:
            parts: for each task in the batch its examples, collated.
            weights: for each of them what its mean loss is multiplied by, scalars.
        """
        losses = []
        for task, part in parts.items():
            number = self.names.index(task)
            self.seen[number] += len(next(iter(part.values())))
            losses.append(weights[task] * measure_loss(self.models[number], part, self.losses[task]))
        if self.penalty is not None:
            losses.append(self.penalty(dict(self.models[0].named_parameters())))
        return {"loss": torch.stack(losses).sum()}


def _leave_out_shared(classroom: Classroom, state: dict[str, Any], *_: object) -> None:
    """Let each weight and buffer be saved once, by the first of its names."""
    for name in state.keys() - _list_once(classroom):
        del state[name]


def _miss_no_shared(classroom: Classroom, found: Any) -> None:
    """Let none be missed that is loaded by another of its names."""
    once = _list_once(classroom)
    found.missing_keys[:] = [name for name in found.missing_keys if name in once]


def _list_once(classroom: Classroom) -> set[str]:
    return {name for name, _ in (*classroom.named_parameters(), *classroom.named_buffers())}


def tie(model: torch.nn.Module, to: torch.nn.Module, names: Sequence[str]) -> None:
    """Put the very weights and buffers of one model into another; what was tied in the one is so in the other."""
    entries = dict(to.named_parameters(remove_duplicate=False)) | dict(to.named_buffers(remove_duplicate=False))
    for name in names:
        place, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(place), leaf, entries[name])


def measure_loss(model: torch.nn.Module, part: Batch, loss: Loss | None) -> torch.Tensor:
    """The mean loss of the examples of one task, in nats per token or row, as the task is trained."""
    if loss is None:
        own: torch.Tensor = model(**part)["loss"]
        return own
    inputs = {name: values for name, values in part.items() if name != "labels"}
    chosen: torch.Tensor = loss(model(**inputs), part["labels"], None)
    return chosen


def measure_rows(
    model: torch.nn.Module, course: Course, rows: Sequence[int], settings: TrainingSettings
) -> Iterator[torch.Tensor]:
    """The negative log-likelihood of each of these rows in nats: the sum over all of its labels, in eval mode.

    Args:
        model: of the task.
        course: what is taught of it; its loss is the one that is trained with.
        rows: their numbers.
        settings: of the training.
    """
    model.eval()
    device = next(model.parameters()).device
    loss = choose_loss(model, course, settings)
    for row in rows:
        nats = []
        for number in list_examples(course, [row]):
            part = course.collator([dict(course.features[number])])
            part = {name: values.to(device) for name, values in part.items()}
            nats.append(measure_loss(model, part, loss) * count_labels(part))
        yield torch.stack(nats).sum()


def list_examples(course: Course, rows: Collection[int]) -> list[int]:
    """The numbers of the examples that these rows are made of: a long text has several."""
    groups = range(len(course.features)) if course.groups is None else course.groups
    wanted = set(rows)
    return [number for number, group in enumerate(groups) if group in wanted]
