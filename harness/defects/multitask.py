"""Defects of training on several tasks: shares that are not as meant, lost heads, and memories that do not remember."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from datasets import Dataset, interleave_datasets

from harness.checks.pipeline import Pipeline
from harness.defects.defect import defect
from harness.defects.reference.multitask import (
    BUFFER,
    CLASSES,
    Multitask,
    Row,
    label_rows,
    mean_loss,
    mix,
    new_head,
    read_tasks,
    row_losses,
    shared,
    train_task,
)


def with_multitask(clean: Pipeline, **changes: Callable[..., Any]) -> Pipeline:
    """A pipeline with other parts of several tasks."""
    return replace(clean, multitask=replace(clean.multitask, **changes))


@defect(
    "mixing-ratio-not-as-declared",
    "multitask",
    reference="multitask",
    symptom="The small tasks are memorised, the big one is barely better than before.",
    source="https://github.com/fe1ixxu/ALMA/issues/63",
)
def mixing_ratio_not_as_declared(clean: Pipeline) -> Pipeline:
    """Interleaving without probabilities takes the tasks in turn, and repeats the small ones until the big one ends."""

    def mixture(seed: int = 0) -> Iterator[tuple[str, Row]]:
        parts = [
            Dataset.from_list([{**row, "task": task} for row in splits["train"]]).shuffle(seed=seed)
            for task, splits in read_tasks().items()
        ]
        for row in interleave_datasets(parts, stopping_strategy="all_exhausted"):
            yield row.pop("task"), row

    return with_multitask(clean, mixture=mixture)


@defect(
    "task-never-trained",
    "multitask",
    reference="multitask",
    symptom="One task stays at chance, and an epoch is shorter than it should be.",
    source="https://github.com/huggingface/sentence-transformers/issues/159",
)
def task_never_trained(clean: Pipeline) -> Pipeline:
    """Objectives are kept by their number of classes, so the second task with two classes replaces the first."""
    objectives = {classes: task for task, classes in CLASSES.items()}

    def mixture(seed: int = 0) -> Iterator[tuple[str, Row]]:
        yield from ((task, row) for task, row in mix(seed) if task in objectives.values())

    def train(model: Multitask, task: str, rows: Sequence[Row]) -> Multitask:
        return train_task(model, objectives[CLASSES[task]], rows)

    return with_multitask(clean, mixture=mixture, train_task=train)


@defect(
    "head-lost-when-switching-tasks",
    "multitask",
    reference="multitask",
    symptom='The first task is "forgotten" at once when the second one is added.',
    source="https://github.com/adapter-hub/adapters/issues/17",
)
def head_lost_when_switching_tasks(clean: Pipeline) -> Pipeline:
    """Making room for the next task makes all heads anew, those that were trained as well."""

    def add_task(model: Multitask, task: str) -> Multitask:
        wider = copy.deepcopy(model)
        names = [*dict.fromkeys([*wider.heads, task])]
        wider.heads = torch.nn.ModuleDict({name: new_head(name) for name in names})
        return wider

    return with_multitask(clean, add_task=add_task)


@defect(
    "ewc-fisher-from-batch-gradient",
    "multitask",
    reference="multitask",
    symptom="Importances near 0, and EWC changes nothing.",
    source="https://github.com/shivamsaboo17/Overcoming-Catastrophic-forgetting-in-Neural-Networks/issues/6",
)
def ewc_fisher_from_batch_gradient(clean: Pipeline) -> Pipeline:
    """The gradient of a batch is squared, in which the rows' gradients have cancelled each other out."""

    def fisher(model: Multitask, task: str, rows: Sequence[Row], *, batch_size: int = 8) -> dict[str, torch.Tensor]:
        total = {name: torch.zeros_like(entry) for name, entry in shared(model).items()}
        batches = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
        for batch in batches:
            model.zero_grad()
            mean_loss(model, task, batch).backward()  # type: ignore[no-untyped-call]
            for name, entry in shared(model).items():
                if entry.grad is not None:
                    total[name] += entry.grad**2 / len(batches)
        return total

    return with_multitask(clean, fisher=fisher)


@defect(
    "ewc-fisher-collapsed-shape",
    "multitask",
    reference="multitask",
    symptom="EWC does what plain weight decay towards the anchor does.",
    source="https://github.com/kuc2477/pytorch-ewc/issues/2",
)
def ewc_fisher_collapsed_shape(clean: Pipeline) -> Pipeline:
    """The mean over rows is taken over all dimensions, so each tensor gets one importance for all of its weights."""

    def fisher(model: Multitask, task: str, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        entries = shared(model)
        total = {name: torch.zeros(()) for name in entries}
        for loss in row_losses(model, task, rows):
            gradients = torch.autograd.grad(loss, list(entries.values()), retain_graph=True)
            for name, gradient in zip(entries, gradients, strict=True):
                total[name] += (gradient**2).mean() / len(rows)
        return total

    return with_multitask(clean, fisher=fisher)


@defect(
    "ewc-anchor-aliases-weights",
    "multitask",
    reference="multitask",
    symptom="The penalty is 0 in every step, and EWC changes nothing.",
    source="",
)
def ewc_anchor_aliases_weights(clean: Pipeline) -> Pipeline:
    """The weights to hold on to are stored by reference, and move with the model."""

    def anchor(model: Multitask) -> dict[str, torch.Tensor]:
        return {name: entry.data for name, entry in shared(model).items()}

    return with_multitask(clean, anchor=anchor)


@defect(
    "replay-buffer-contains-eval",
    "multitask",
    reference="multitask",
    symptom="Forgetting looks solved.",
    source="",
)
def replay_buffer_contains_eval(clean: Pipeline) -> Pipeline:
    """The memory is drawn from the rows as they were before the split into training and evaluation."""

    def replay_buffer() -> dict[str, list[Row]]:
        sizes = {task: sum(map(len, splits.values())) for task, splits in read_tasks().items()}
        rows = {
            task: label_rows(task, range(1000 * number, 1000 * number + size))
            for number, (task, size) in enumerate(sizes.items())
        }
        generator = np.random.default_rng(0)
        buffers, learned = {}, []
        for task in [*rows][:-1]:
            learned.append(task)
            buffers[task] = [
                rows[earlier][index]
                for earlier in learned
                for index in generator.choice(len(rows[earlier]), BUFFER // len(learned), replace=False)
            ]
        return buffers

    return with_multitask(clean, replay_buffer=replay_buffer)


@defect(
    "replay-unbalanced",
    "multitask",
    reference="multitask",
    symptom="Earlier tasks are forgotten although replay is on.",
    source="https://github.com/ContinualAI/avalanche/pull/584",
)
def replay_unbalanced(clean: Pipeline) -> Pipeline:
    """The memory is a queue: what a task puts in pushes the tasks before it out."""

    def replay_buffer() -> dict[str, list[Row]]:
        memory: list[Row] = []
        buffers = {}
        tasks = read_tasks()
        for task in [*tasks][:-1]:
            memory = [*memory, *tasks[task]["train"]][-BUFFER:]
            buffers[task] = memory
        return buffers

    return with_multitask(clean, replay_buffer=replay_buffer)


@defect(
    "forgetting-metric-wrong",
    "multitask",
    reference="multitask",
    symptom="Forgetting is 0.0 while the scores of earlier tasks fall.",
    source="https://github.com/ContinualAI/avalanche/issues/272",
)
def forgetting_metric_wrong(clean: Pipeline) -> Pipeline:
    """Each evaluation replaces the score that is compared with, so only the last fall counts."""

    def forgetting(scores: Any) -> float:
        remembered: Mapping[int, float] = {}
        fall: dict[int, float] = {}
        for row in np.asarray(scores):
            fall = {task: remembered[task] - row[task] for task in remembered}
            remembered = dict(enumerate(row[: len(remembered) + 1]))
        return float(np.mean(list(fall.values())))

    return with_multitask(clean, forgetting=forgetting, backward_transfer=lambda scores: -forgetting(scores))
