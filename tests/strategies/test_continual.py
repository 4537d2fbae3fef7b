"""Replay and elastic weight consolidation on a real encoder; each bug that is known of them is seen."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.errors import SettingsError
from harness.methods import Course
from harness.strategies import continual as module
from harness.strategies.classroom import measure_loss, measure_rows
from harness.strategies.continual import ANCHOR, FISHER, REPLAY, Continual, read_rows
from harness.strategies.ewc import estimate_fisher, select_weights
from harness.strategies.mixing import Place
from harness.strategies.reservoir import remember
from harness.strategies.sequential import Sequential
from harness.strategies.shared import SharedModel
from harness.strategies.strategy import Taught
from tests.strategies.test_shared import curriculum, same

TASKS = ("classification", "sentiment", "ner")


def strategy(**settings: Any) -> Continual:
    """The strategy with these settings, over three tasks of eight rows."""
    tasks = curriculum("multitask-bert", *TASKS)
    changed = tasks.multitask.continual.model_copy(update={"fisher_rows": 4, **settings})
    # Several steps a stage: in the first of them nothing has moved yet, and no penalty acts.
    subjects = [replace(s, experiment=s.experiment.override({"training.batch_size": 2})) for s in tasks.subjects]
    multitask = tasks.multitask.model_copy(update={"continual": changed})
    return Continual(curriculum=replace(tasks, subjects=tuple(subjects), multitask=multitask), seed=1)


@cache
def taught(stages: int, **settings: Any) -> Taught[SharedModel]:
    """What so many stages leave behind."""
    teacher = strategy(**settings)
    return teacher.begin() if not stages else teacher.teach(stages - 1, taught(stages - 1, **settings))


def test_the_first_task_is_taught_as_in_sequence() -> None:
    """There is nothing to hold on to yet, so the weights are the same bits."""
    plain = Sequential(curriculum=strategy(replay=6, ewc=1.0).curriculum, seed=1)
    alone = plain.teach(0, plain.begin()).pupil
    assert all(same(alone.for_task(name), taught(1, replay=6, ewc=1.0).pupil.for_task(name)) for name in TASKS)


def test_memory_holds_training_rows_of_the_tasks_learned_so_far() -> None:
    """Equally many of each, and never more than there is room for; the last task's rows join when it was learned."""
    for stages in (1, 2, 3):
        rows = read_rows(taught(stages, replay=6, ewc=1.0).memory)
        assert [*rows] == [*TASKS[:stages]]
        assert [len(numbers) for numbers in rows.values()] == [6 // stages] * stages
        assert all(number in range(8) for numbers in rows.values() for number in numbers)
    facts = taught(3, replay=6, ewc=1.0).facts
    assert facts["rows of ner in memory"] == 2
    # Eight rows of its own and three of each earlier task were seen once.
    assert facts["share of ner"] == pytest.approx(8 / 14)
    assert facts["epochs of sentiment"] == pytest.approx(3 / 8)


def test_what_is_replayed_is_what_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples of earlier tasks that reach the training are those of the rows in memory, and no others."""
    plans: list[Sequence[Sequence[Place]]] = []
    teach = module.teach_together

    def watch(pupil: SharedModel, courses: Mapping[str, Course], batches: Any, *rest: Any, **options: Any) -> Any:
        plans.append(batches)
        return teach(pupil, courses, batches, *rest, **options)

    before = taught(2, replay=6, ewc=1.0)
    monkeypatch.setattr(module, "teach_together", watch)
    strategy(replay=6, ewc=1.0).teach(2, before)
    seen = {place for batch in plans[0] for place in batch}
    # Each row of these tasks is one example.
    kept = {(name, number) for name, numbers in read_rows(before.memory).items() for number in numbers}
    assert seen == kept | {("ner", number) for number in range(8)}


def test_next_stage_follows_from_pupil_and_memory_alone(tmp_path: Path) -> None:
    """Another teacher, given both as they were stored, comes to the same weights and the same memory."""
    before, after = taught(1, replay=6, ewc=1.0), taught(2, replay=6, ewc=1.0)
    before.pupil.save(tmp_path)
    save_file({name: tensor.contiguous() for name, tensor in before.memory.items()}, tmp_path / "memory")
    teacher = strategy(replay=6, ewc=1.0)
    stored = Taught(pupil=teacher.begin().pupil.restore(tmp_path), memory=load_file(tmp_path / "memory"))
    again = teacher.teach(1, stored)
    assert all(same(again.pupil.for_task(name), after.pupil.for_task(name)) for name in TASKS)
    assert again.memory.keys() == after.memory.keys()
    assert all(torch.equal(again.memory[name], tensor) for name, tensor in after.memory.items())


def test_importance_is_found_with_repeatable_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is found anew after a kill, and must come to the same bits on a GPU as well."""
    found: list[bool] = []
    estimate = module.estimate_fisher

    def watch(*given: Any) -> Any:
        found.append(torch.are_deterministic_algorithms_enabled())
        return estimate(*given)

    monkeypatch.setattr(module, "estimate_fisher", watch)
    teacher = strategy(replay=0, ewc=1.0)
    teacher.teach(0, teacher.begin())
    assert found == [True]
    assert not torch.are_deterministic_algorithms_enabled()


def test_anchor_and_importance_are_of_the_body_alone() -> None:
    """The anchor is the body as the last task left it, in memory of its own; importances add up and never fall."""
    first, second = (taught(stages, replay=6, ewc=1.0) for stages in (1, 2))
    names = {name.removeprefix(ANCHOR) for name in second.memory if name.startswith(ANCHOR)}
    assert names
    assert names <= second.pupil.body.keys()
    for name in names:
        assert torch.equal(second.memory[ANCHOR + name], second.pupil.body[name])
        assert second.memory[ANCHOR + name].data_ptr() != second.pupil.body[name].data_ptr()
        assert (second.memory[FISHER + name] >= first.memory[FISHER + name]).all()
    assert any((second.memory[FISHER + name] > first.memory[FISHER + name]).any() for name in names)


def test_the_penalty_holds_what_mattered() -> None:
    """With a strong penalty the body moves less, weighed by importance, than without; with replay alone it is free."""
    held, free = (taught(2, replay=0, ewc=strength) for strength in (100.0, 1e-9))
    before = taught(1, replay=0, ewc=1.0)

    def moved(after: Taught[SharedModel]) -> float:
        names = [name.removeprefix(FISHER) for name in before.memory if name.startswith(FISHER)]
        steps = {name: after.pupil.body[name] - before.memory[ANCHOR + name] for name in names}
        return sum((before.memory[FISHER + name] * step.square()).sum().item() for name, step in steps.items())

    assert moved(held) < 0.5 * moved(free)
    assert not [name for name in taught(1, replay=6, ewc=0.0).memory if not name.startswith(REPLAY)]


@pytest.mark.parametrize(
    ("settings", "said"),
    [({"replay": 0, "ewc": 0.0}, "are both 0"), ({"replay": 2}, r"continual\.replay is 2, for 3 tasks")],
)
def test_settings_that_hold_nothing_are_refused(settings: dict[str, Any], said: str) -> None:
    """Before anything trains."""
    with pytest.raises(SettingsError, match=said):
        strategy(**settings).begin()


Estimate = Callable[[torch.nn.Module, Course, Sequence[int]], dict[str, torch.Tensor]]
"""From model, course and rows to the importance of each weight of the body."""


def estimate(model: torch.nn.Module, course: Course, rows: Sequence[int]) -> dict[str, torch.Tensor]:
    """As the strategy does it."""
    weights = select_weights(model, SharedModel.start(curriculum("multitask-bert", *TASKS)).body)
    return estimate_fisher(weights, measure_rows(model, course, rows, course.form.experiment.training))


def batch_nats(model: torch.nn.Module, course: Course, rows: Sequence[int]) -> Iterator[torch.Tensor]:
    """The loss of all rows at once."""
    part = dict(course.collator([dict(course.features[row]) for row in rows]))
    yield measure_loss(model, part, course.loss)


def of_the_batch(model: torch.nn.Module, course: Course, rows: Sequence[int]) -> dict[str, torch.Tensor]:
    """The bug: the square of the mean gradient."""
    model.eval()
    body = SharedModel.start(curriculum("multitask-bert", *TASKS)).body
    return estimate_fisher(select_weights(model, body), batch_nats(model, course, rows))


def with_dropout(model: torch.nn.Module, course: Course, rows: Sequence[int]) -> dict[str, torch.Tensor]:
    """The bug: the model is in training mode."""
    model.eval = lambda: model  # type: ignore[method-assign]
    model.train()
    return estimate(model, course, rows)


def require_fisher(found: Estimate) -> None:
    """Each weight's importance is the mean of its squared gradient over the rows, without dropout, of the body only."""
    tasks = curriculum("multitask-bert", *TASKS)
    course, pupil = tasks["classification"].course(1), SharedModel.start(tasks)
    rows = [0, 2, 5]
    torch.manual_seed(0)
    fisher = found(pupil.for_task("classification"), course, rows)
    model = pupil.for_task("classification")
    expected = {name: torch.zeros_like(weight) for name, weight in select_weights(model, pupil.body).items()}
    for row in rows:
        model.zero_grad()
        part = course.collator([dict(course.features[row])])
        logits = model(**{name: values for name, values in part.items() if name != "labels"}).logits
        (-logits.log_softmax(-1)[0, part["labels"][0]]).backward()
        for name, weight in select_weights(model, pupil.body).items():
            if weight.grad is not None:
                expected[name] += weight.grad.square() / len(rows)
    assert fisher.keys() == expected.keys()
    assert all(torch.allclose(fisher[name], right, rtol=1e-3, atol=1e-9) for name, right in expected.items())


def test_fisher_of_a_real_model() -> None:
    """It is that of a loop written out by hand."""
    require_fisher(estimate)


@pytest.mark.parametrize("bug", [of_the_batch, with_dropout])
def test_bugs_of_the_fisher_are_seen(bug: Estimate) -> None:
    """The square of a batch's gradient, and dropout, are not the Fisher information of the model."""
    with pytest.raises(AssertionError):
        require_fisher(bug)


def from_all_rows(memory: Any, task: str, rows: int, **options: Any) -> dict[str, list[int]]:
    """The bug: drawn from the rows as they were before the split, of which the last four evaluate."""
    return remember(memory, task, rows + 4, **options)


def from_tasks_to_come(memory: Any, task: str, rows: int, **options: Any) -> dict[str, list[int]]:
    """The bug: filled before the tasks are learned."""
    return remember(remember(memory, task, rows, **options), TASKS[-1], rows, **options)


def as_a_queue(memory: Any, task: str, rows: int, *, capacity: int, rng: random.Random) -> dict[str, list[int]]:
    """The bug: what a task puts in pushes the tasks before it out."""
    return {**{name: [] for name in memory}, task: [*range(rows)][-capacity:]}


@pytest.mark.parametrize("bug", [from_all_rows, from_tasks_to_come, as_a_queue])
def test_bugs_of_the_memory_are_seen(bug: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that evaluate, rows of tasks to come, and a memory of the last task only."""
    monkeypatch.setattr(module, "remember", bug)
    memory: dict[str, torch.Tensor] = {}
    teacher = strategy(replay=24)
    for task in TASKS[:2]:
        memory = teacher._keep_rows(task, memory)
    with pytest.raises(AssertionError):
        require_memory(read_rows(memory))


def test_the_memory_of_two_tasks() -> None:
    """What the bugs break holds of the memory as it is."""
    memory: dict[str, torch.Tensor] = {}
    teacher = strategy(replay=24)
    for task in TASKS[:2]:
        memory = teacher._keep_rows(task, memory)
    require_memory(read_rows(memory))


def require_memory(rows: Mapping[str, Sequence[int]]) -> None:
    """With room for all, it holds all training rows of the tasks that were learned, and no other rows."""
    assert {name: sorted(numbers) for name, numbers in rows.items()} == {name: [*range(8)] for name in TASKS[:2]}
