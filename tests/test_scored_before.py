"""A base that was scored by an earlier run need not be scored again, and never passes for another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from harness.experiment import Run, run
from tests.small import count_scored, small_experiment

FEW: dict[str, Any] = {"training.epochs": 1, "data.train_rows": 8}


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with each arm whose outputs are made."""
    return count_scored(monkeypatch)


@pytest.fixture(scope="module")
def before() -> Run:
    """A run of full fine-tuning."""
    return run(small_experiment(**FEW))


def test_base_of_an_earlier_run_is_taken(before: Run, scored: list[int]) -> None:
    """Another method, another seed, another name, other requirements: the arm is the one that would be made now."""
    other = small_experiment(**FEW, method="lora", name="another").override(
        {"training.seed": 7, "gate.require": ["base must not drift"], "training.batch_size": 4}
    )
    said: list[str] = []
    done = run(other, before=before, say=said.append)
    assert scored == [8]
    assert any(line.startswith("base: rouge1") and line.endswith("(scored for summarization-full)") for line in said)
    alone = run(other)
    assert done.base.manifest == alone.base.manifest
    assert tuple(done.base.rows) == tuple(alone.base.rows)
    assert done.tuned.manifest == alone.tuned.manifest
    assert tuple(done.tuned.rows) == tuple(alone.tuned.rows)
    assert repr(done.verdict) == repr(alone.verdict)


@pytest.mark.parametrize(
    "changes",
    [
        {"data.eval_rows": 7},
        {"data.seed": 9},
        {"generation.batch_size": 4},
        {"generation.num_beams": 2},
        {"encoding.max_input_tokens": 40},
        {"model.name": "tiny-llama"},
    ],
    ids=str,
)
def test_base_of_other_settings_is_scored_anew(before: Run, scored: list[int], changes: dict[str, object]) -> None:
    """What decides the base's outputs, or may, makes it another arm."""
    run(small_experiment(**FEW).override(changes), before=before)
    assert len(scored) == 2


@pytest.mark.parametrize(
    "change",
    [
        lambda manifest: {"model": manifest.model.model_copy(update={"weights": "0" * 64})},
        lambda manifest: {"model": manifest.model.model_copy(update={"tokenizer": "0" * 64})},
        lambda manifest: {"rows": "0" * 64},
        lambda manifest: {"metrics": {**manifest.metrics, "rouge1": "another"}},
        lambda manifest: {"environment": {**manifest.environment, "threads": "64"}},
    ],
    ids=["weights", "tokenizer", "rows", "metrics", "environment"],
)
def test_other_base_of_the_same_settings_is_scored_anew(
    before: Run, scored: list[int], change: Callable[[Any], dict[str, object]]
) -> None:
    """As where the files of model or rows were changed between two runs, or the threads."""
    manifest = before.base.manifest.model_copy(update=change(before.base.manifest))
    changed = replace(before, base=before.base.model_copy(update={"manifest": manifest}))
    done = run(small_experiment(**FEW), before=changed)
    assert len(scored) == 2
    assert done.base.manifest == before.base.manifest
