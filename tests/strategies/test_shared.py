"""What tasks share and what is their own, on real models with heads and without."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch

from harness.multitask import load_multitask
from harness.strategies.curriculum import Curriculum, prepare_curriculum
from harness.strategies.sequential import Sequential
from harness.strategies.shared import SharedModel
from harness.strategies.single import Single
from harness.tuning import Clock

CHANGES = {"data.train_rows": 8, "data.eval_rows": 4, "training.epochs": 1, "gate.require": None}


@cache
def curriculum(preset: str, *tasks: str) -> Curriculum:
    """A few rows of each task, of news of its own."""
    multitask = load_multitask(preset, tasks=tasks)
    small = tuple(task.override({**CHANGES, "data.seed": n}) for n, task in enumerate(multitask.tasks))
    multitask = multitask.model_copy(update={"tasks": small})
    return prepare_curriculum(multitask, clock=Clock(), say=lambda _: None)


def same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether two models have the same weights, bit for bit."""
    states = one.state_dict(), other.state_dict()
    return states[0].keys() == states[1].keys() and all(
        torch.equal(states[0][name], states[1][name]) for name in states[0]
    )


def test_start_is_the_base_of_every_task() -> None:
    """Body and head together are the very model that the task was loaded with."""
    tasks = curriculum("multitask-bert", "classification", "ner")
    pupil = SharedModel.start(tasks)
    assert all(same(pupil.for_task(s.name), s.ready.loaded.model) for s in tasks.subjects)
    assert all(not name.startswith("roformer.") for head in pupil.heads.values() for name in head)


@pytest.mark.parametrize("share", [True, False])
def test_learning_one_task_moves_the_body_and_no_other_head(share: bool, tmp_path: Path) -> None:  # noqa: FBT001
    """The other task keeps its head; its body moves where there is one body. Nothing before it changes."""
    tasks = curriculum("multitask-bert", "classification", "ner")
    strategy = (Sequential if share else Single)(curriculum=tasks, seed=1)
    before = strategy.begin()
    after = strategy.teach(0, before).pupil
    assert same(before.pupil.for_task("classification"), tasks["classification"].ready.loaded.model)
    assert not same(after.for_task("classification"), before.pupil.for_task("classification"))
    assert same(after.for_task("ner"), before.pupil.for_task("ner")) == (not share)
    assert all(torch.equal(after.heads["ner"][name], tensor) for name, tensor in before.pupil.heads["ner"].items())
    after.save(tmp_path)
    restored = before.pupil.restore(tmp_path)
    assert all(same(restored.for_task(name), after.for_task(name)) for name in tasks.names)


def test_a_model_that_writes_is_shared_whole() -> None:
    """There is no head: what one task learned is what the other answers with."""
    tasks = curriculum("multitask-t5", "summarization", "translation")
    strategy = Sequential(curriculum=tasks, seed=1)
    after = strategy.teach(0, strategy.begin()).pupil
    assert not any(after.heads.values())
    assert same(after.for_task("summarization"), after.for_task("translation"))
