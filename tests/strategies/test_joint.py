"""All tasks at once, on a real encoder."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from harness.errors import SettingsError
from harness.strategies.curriculum import Curriculum
from harness.strategies.joint import Joint
from tests.strategies.test_shared import curriculum

TASKS = ("classification", "ner")


def joint(tasks: Curriculum, **settings: Any) -> Joint:
    """The strategy with some settings changed."""
    multitask = tasks.multitask.model_copy(update={"joint": tasks.multitask.joint.model_copy(update=settings)})
    return Joint(curriculum=replace(tasks, multitask=multitask), seed=1)


def with_training(tasks: Curriculum, name: str, **changes: Any) -> Curriculum:
    """The same tasks, one of them trained otherwise."""
    subjects = [
        replace(s, experiment=s.experiment.override({f"training.{k}": v for k, v in changes.items()}))
        if s.name == name
        else s
        for s in tasks.subjects
    ]
    return replace(tasks, subjects=tuple(subjects))


@pytest.mark.parametrize("batches", ["one-task", "mixed"])
def test_one_stage_teaches_all(batches: str) -> None:
    """Body and both heads move, the real shares are those that were asked for, and nothing before it changes."""
    tasks = with_training(curriculum("multitask-bert", *TASKS), "ner", epochs=3)
    strategy = joint(tasks, batches=batches, mixing="equal")
    assert strategy.stages == (TASKS,)
    before = strategy.begin()
    kept = {name: tensor.clone() for name, tensor in before.pupil.body.items()}
    after = strategy.teach(0, before)
    # 8 examples once and 8 three times are 32; even shares are 16 each, two passes.
    expected = {"share of classification": 0.5, "share of ner": 0.5, "epochs of classification": 2, "epochs of ner": 2}
    assert after.facts == expected
    assert all(torch.equal(before.pupil.body[name], tensor) for name, tensor in kept.items())
    for task in TASKS:
        heads = before.pupil.heads[task], after.pupil.heads[task]
        assert any(not torch.equal(heads[1][name], tensor) for name, tensor in heads[0].items())
    again = strategy.teach(0, before)
    assert after.losses == again.losses
    assert all(torch.equal(again.pupil.body[name], tensor) for name, tensor in after.pupil.body.items())


def test_a_task_of_weight_0_learns_nothing() -> None:
    """Its head gets no gradient (and no decay here), though its rows are seen."""
    tasks = curriculum("multitask-bert", *TASKS)
    for name in TASKS:
        tasks = with_training(tasks, name, weight_decay=0.0)
    strategy = joint(tasks, weights={"ner": 0.0})
    before = strategy.begin()
    after = strategy.teach(0, before)
    same = {
        task: all(torch.equal(after.pupil.heads[task][name], tensor) for name, tensor in head.items())
        for task, head in before.pupil.heads.items()
    }
    assert same == {"classification": False, "ner": True}
    assert after.facts["share of ner"] == pytest.approx(0.5)


def test_tasks_that_cannot_be_one_training_are_refused() -> None:
    """Another learning rate, or the weight of a task that there is not, is said before anything trains."""
    tasks = curriculum("multitask-bert", *TASKS)
    with pytest.raises(SettingsError, match=r"training.learning_rate is 0.001 for classification and 0.5 for ner"):
        joint(with_training(tasks, "ner", learning_rate=0.5)).begin()
    with pytest.raises(SettingsError, match=r"joint.weights names summary; the tasks are classification, ner"):
        joint(tasks, weights={"summary": 1.0}).begin()
