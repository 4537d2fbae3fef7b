"""Checkpoints: where a training goes on from, with the rows that it has left and under the names that it knows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file, save_model
from torch import nn

from harness.checkpoints import name_as_in_model
from harness.fingerprint import hash_weights
from harness.models.loading import LoadedModel
from harness.progress import Pace, Progress
from harness.training import fine_tune
from tests.small import make_lesson, small_experiment


class Tied(nn.Module):
    """A norm, and two layers that share their weights."""

    def __init__(self) -> None:
        super().__init__()
        self.LayerNorm = nn.LayerNorm(3)
        self.embed = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight


class Collate:
    """Makes batches, and ends the training at one of them.

    Args:
        collator: makes them.
        last: how many there may be.
    """

    def __init__(self, collator: Any, last: int) -> None:
        self._collator, self._left = collator, last

    def __call__(self, features: Any) -> Any:
        """A batch."""
        self._left -= 1
        if self._left < 0:
            raise InterruptedError
        return self._collator(features)


def test_training_goes_on_with_the_rows_that_its_epoch_has_left(tiny_t5: LoadedModel, tmp_path: Path) -> None:
    """Inside the third epoch, whose order is not that of the first: losses and weights have the bits they would have.

    accelerate before 1.15 takes the rest of the first epoch's order: https://github.com/huggingface/accelerate/pull/4071
    """
    settings = small_experiment(**{"training.epochs": 3, "training.batch_size": 4}).training
    lesson = make_lesson(tiny_t5)
    whole = fine_tune(tiny_t5.model, lesson, settings)
    kept = partial(Progress, folder=tmp_path, pace=Pace(0))
    with pytest.raises(InterruptedError):
        fine_tune(tiny_t5.model, replace(lesson, collator=Collate(lesson.collator, last=11), progress=kept()), settings)
    said: list[str] = []
    resumed = fine_tune(tiny_t5.model, replace(lesson, progress=kept(say=said.append)), settings)
    assert [line.partition(" (")[0] for line in said] == ["training goes on from step 10 of 12"]
    assert resumed.losses == whole.losses
    assert hash_weights(resumed.model) == hash_weights(whole.model)


def make_model() -> Tied:
    """The same numbers each time, and none that a fresh one has."""
    model = Tied()
    with torch.no_grad():
        for value, parameter in enumerate(model.parameters(), start=2):
            parameter.fill_(value)
    return model


def test_legacy_names_become_the_models(tmp_path: Path) -> None:
    """As transformers 5.0 writes them: a trainer that resumes would leave them out, and go on from the base's norm."""
    model, weights = make_model(), tmp_path / "model.safetensors"
    save_model(model, str(weights))
    legacy = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    save_file({legacy.get(name, name): tensor for name, tensor in load_file(weights).items()}, weights)
    name_as_in_model(weights, model)
    fresh = Tied()
    missing, unexpected = fresh.load_state_dict(load_file(weights), strict=False)
    assert (set(missing) <= {"embed.weight", "head.weight"}, len(missing), unexpected) == (True, 1, [])
    assert all(torch.equal(one, other) for one, other in zip(fresh.parameters(), model.parameters(), strict=True))


@pytest.mark.parametrize("there", [True, False])
def test_other_files_stay_as_they_are(tmp_path: Path, there: bool) -> None:  # noqa: FBT001 - a parameter
    """What has the model's names is not written again, and of adapters alone there is no such file."""
    weights = tmp_path / "model.safetensors"
    if there:
        save_model(make_model(), str(weights))
        before = weights.read_bytes(), weights.stat().st_mtime_ns
    name_as_in_model(weights, Tied())
    assert (weights.read_bytes(), weights.stat().st_mtime_ns) == before if there else not weights.exists()
