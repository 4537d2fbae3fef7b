"""Checkpoints that the trainer can read back, whichever names a library gives the weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file, save_model
from torch import nn

from harness.checkpoints import name_as_in_model


class Tied(nn.Module):
    """A norm, and two layers that share their weights."""

    def __init__(self) -> None:
        super().__init__()
        self.LayerNorm = nn.LayerNorm(3)
        self.embed = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight


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
