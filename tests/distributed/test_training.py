"""Training on two processes: the weights of one process, up to rounding."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.distributed.launch import HERE, launch, require_success
from tests.distributed.train import CASES

pytestmark = pytest.mark.distributed
TRAINED = dict[str, dict[str, Any]]


def train(processes: int, file: Path, *words: str) -> TRAINED:
    require_success(launch(processes, HERE / "train.py", file, *words))
    done: TRAINED = torch.load(file, weights_only=False)
    return done


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> TRAINED:
    """What one process makes of each case."""
    return train(1, tmp_path_factory.mktemp("alone") / "weights.pt", *CASES)


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> TRAINED:
    """What two make of it."""
    return train(2, tmp_path_factory.mktemp("together") / "weights.pt", *CASES)


@torch.no_grad()
def distance(one: dict[str, Any], other: dict[str, Any]) -> float:
    """How far apart two trainings ended, in parts of how far they went: Euclid over all weights that moved."""
    apart = sum(float((one["after"][name] - other["after"][name]).square().sum()) for name in one["after"])
    went = sum(
        float((after - one["before"][name]).square().sum() if name in one["before"] else after.square().sum())
        for name, after in one["after"].items()
        if after.requires_grad
    )
    return (apart / went) ** 0.5


@pytest.mark.parametrize("case", CASES)
def test_two_processes_train_the_weights_of_one(alone: TRAINED, together: TRAINED, case: str) -> None:
    """Losses, held-out losses and weights agree up to rounding, also where the last batch has one row for both."""
    one, two = alone[case], together[case]
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-5)
    assert two["held_out"] == pytest.approx(one["held_out"], rel=1e-4)
    assert distance(one, two) < 2e-3


def test_same_number_of_processes_gives_the_same_bits(together: TRAINED) -> None:
    """Two trainings with one seed on two processes end with equal weights."""
    one, other = together["full"], together["again"]
    assert one["losses"] == other["losses"]
    assert all(torch.equal(one["after"][name], other["after"][name]) for name in one["after"])


def test_divided_weights_are_trained_alike_and_come_back_whole(alone: TRAINED, tmp_path: Path) -> None:
    """FSDP gives the weights of one process up to rounding, every tensor in its full shape."""
    cases = ("full", "lora", "tags")
    sharded = train(2, tmp_path / "weights.pt", "--sharded", *cases)
    for case in cases:
        assert sharded[case]["losses"] == pytest.approx(alone[case]["losses"], rel=1e-5)
        assert distance(alone[case], sharded[case]) < 2e-3
