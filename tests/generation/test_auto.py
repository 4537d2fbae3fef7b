"""The engine "auto" takes the fastest that agrees, and says how it found it; agreement is judged row by row."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.config import GateSettings
from harness.device import at_work
from harness.errors import SettingsError
from harness.experiment import run
from harness.generation import AUTO, ENGINES, REFERENCE
from harness.generation.agreement import compare_outputs, measure_gap
from harness.generation.auto import choose_engine
from harness.generation.graph import engine as graph
from harness.models.loading import LoadedModel
from harness.scoring import say_difference
from harness.tasks.task import EncodedRow
from tests.generation.graph.random_models import resolve
from tests.small import encode_rows, small_experiment

BEAMS = {"num_beams": 3, "max_length": 16}


@pytest.fixture(scope="module")
def rows(tiny_t5: LoadedModel) -> list[EncodedRow]:
    return encode_rows(tiny_t5, 8)


def test_an_engine_that_errs_is_not_chosen(
    tiny_t5: LoadedModel, rows: list[EncodedRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However fast it is: one wrong row of the probe, and the reference runs, with the reason beside it."""
    resolved = resolve(tiny_t5.model, **BEAMS)
    right = ENGINES[REFERENCE].write(tiny_t5.model, rows, resolved, batch_size=8)
    wrong = [[*right[0][:-1], 77], *right[1:]]
    monkeypatch.setattr(graph.GraphEngine, "write", lambda *_, **__: wrong)
    choice = choose_engine(tiny_t5.model, rows, resolved, batch_size=8)
    assert choice.engine != "graph"
    assert "7 of 8 rows equal, 0 tied within 0.0001, 1 different" in choice.found["graph"]
    monkeypatch.setattr(graph.GraphEngine, "write", lambda *_, **__: right)
    choice = choose_engine(tiny_t5.model, rows, resolved, batch_size=8)
    assert choice.engine == "graph"
    assert choice.found["graph"].startswith("8 of 8 rows equal")


def test_an_engine_that_refuses_is_named(
    tiny_t5: LoadedModel, rows: list[EncodedRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own words say why it was not used, and nothing fails."""

    def refuse(*_: object) -> None:
        raise SettingsError("the model has a hook.", fix="")

    monkeypatch.setattr(graph.GraphEngine, "refuse", refuse)
    choice = choose_engine(tiny_t5.model, rows, resolve(tiny_t5.model, **BEAMS), batch_size=8)
    assert choice.found["graph"] == "not used: the model has a hook."


def test_auto_writes_what_the_reference_writes(tiny_t5: LoadedModel, rows: list[EncodedRow]) -> None:
    """As an engine of its own it gives the same texts, whichever it takes."""
    resolved = resolve(tiny_t5.model, **BEAMS)
    ours, theirs = (
        ENGINES[name](tiny_t5.model, tiny_t5.tokenizer, rows, resolved, batch_size=4) for name in (AUTO, REFERENCE)
    )
    assert ours == theirs


def test_manifest_says_which_engine_ran(tmp_path: Path) -> None:
    """Both arms name the engine that ran in their generation settings, and what the probe found of each."""
    done = run(small_experiment(**{"generation.engine": "auto", "generation.max_length": 12}), baselines=tmp_path)
    for arm in (done.base, done.tuned):
        assert arm.manifest.generation["engine"] == arm.manifest.engine["chosen"] in set(ENGINES) - {AUTO}
        assert "8 of 8 rows equal" in arm.manifest.engine["graph"]
    assert run(small_experiment(), baselines=tmp_path).base.manifest.engine == {}


def test_an_approximation_says_what_it_costs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The scores of an engine that is not exact are compared with the reference's, and the difference stands beside."""
    monkeypatch.setattr(graph.GraphEngine, "exact", property(lambda _: False))
    said: list[str] = []
    changes = {"generation.engine": "graph", "generation.max_length": 12}
    done = run(small_experiment(**changes), baselines=tmp_path, say=said.append)
    found = done.base.manifest.engine["graph"]
    assert found.startswith("an approximation; against transformers on 8 rows: rouge1 +0.00 (+0.00 to +0.00)")
    assert any(found in line for line in said)


def test_differences_in_scores_are_measured() -> None:
    """Each metric's mean delta over the rows, in its unit, with an interval around it."""
    ours = {"rouge1": np.arange(40.0) % 7, "rougeL": np.full(40, 10.0)}
    theirs = {"rouge1": np.arange(40.0) % 7 - np.arange(40.0) % 2, "rougeL": np.full(40, 10.0)}
    found = say_difference(ours, theirs, GateSettings())
    assert found.startswith("an approximation; against transformers on 40 rows: rouge1 +0.50 (+0.3")
    assert "rougeL +0.00 (+0.00 to +0.00)" in found


@pytest.mark.parametrize("beams", [1, 2])
def test_ties_are_told_from_differences(tiny_t5: LoadedModel, rows: list[EncodedRow], beams: int) -> None:
    """An output against one with another token is as far apart as the model holds them; made equal, they are tied."""
    resolved: Any = resolve(tiny_t5.model, num_beams=beams, max_length=16)
    right = ENGINES[REFERENCE].write(tiny_t5.model, rows, resolved, batch_size=8)
    other: list[Sequence[int]] = [[*tokens[:2], 1234, *tokens[3:]] for tokens in right]
    found = compare_outputs(tiny_t5.model, rows, resolved, other, right)
    assert (found.rows, found.equal, found.tied, len(found.different)) == (8, 0, 0, 8)
    assert not found.holds
    assert compare_outputs(tiny_t5.model, rows, resolved, right, right).holds
    assert not compare_outputs(tiny_t5.model, [], resolved, [], []).holds
    embedding, ids = tiny_t5.model.lm_head.weight, (right[0][0], 1234)
    before = embedding.data[1234].clone()
    try:
        embedding.data[1234] = embedding.data[ids[0]]
        with at_work(tiny_t5.model):
            assert measure_gap(tiny_t5.model, rows[0].input_ids, [ids[0]], [ids[1]], resolved) <= 1e-4
    finally:
        embedding.data[1234] = before
