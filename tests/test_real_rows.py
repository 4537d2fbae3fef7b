"""The notebook's experiment on real XSum documents, with the real T5 tokenizer."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, T5Config, T5ForConditionalGeneration

from harness import load_experiment, run
from harness.comparison import Outcome
from harness.data.source import load_splits
from harness.tasks.summarization import SUMMARIZATION


@pytest.fixture(scope="module")
def real_t5(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A T5 of 4.6 million parameters with the real tokenizer; random weights, from a seed."""
    folder = tmp_path_factory.mktemp("real") / "t5"
    shutil.copytree(shared_data / "tokenizers" / "t5", folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = T5Config(
            vocab_size=len(tokenizer),
            d_model=128,
            d_kv=32,
            d_ff=256,
            num_layers=1,
            num_heads=4,
            decoder_start_token_id=0,
        )
        model = T5ForConditionalGeneration(config)
    assert sum(weight.numel() for weight in model.parameters()) < 10_000_000
    model.save_pretrained(folder)
    return folder


def test_the_250_documents_are_read_as_they_are(shared_data: Path) -> None:
    """Both files of the folder, each with its own column names, give 250 rows, none of them in both splits."""
    experiment = load_experiment("seed-notebook").override(
        {"data.source": str(shared_data / "xsum-documents"), "data.train_rows": 200, "data.eval_rows": 50}
    )
    splits = load_splits(experiment.data, SUMMARIZATION)
    assert len({row.hash for row in (*splits.train, *splits.eval)}) == 250


@pytest.mark.slow
def test_notebook_preset_gives_an_honest_verdict(shared_data: Path, real_t5: Path, tmp_path: Path) -> None:
    """The notebook's settings as they are, on real text: a change is claimed exactly where the test found one."""
    settings: dict[str, object] = {"data.source": str(shared_data / "xsum-documents"), "model.name": str(real_t5)}
    experiment = load_experiment("seed-notebook").override(settings)
    done = run(experiment, baselines=tmp_path)
    assert (len(done.splits.train), len(done.splits.eval), len(done.losses)) == (80, 20, 40)
    metrics = done.verdict.comparisons.tuned_base.metrics
    found = any(entry.p <= experiment.gate.level for entry in metrics)
    assert (done.verdict.outcome in {Outcome.IMPROVED, Outcome.REGRESSED}) == found
    assert done.verdict.passed == (metrics[0].low > 0)
    assert all(entry.low <= entry.delta <= entry.high for entry in metrics)
    assert done.base.manifest.model.weights != done.tuned.manifest.model.weights
    assert done.labels.inputs_cut > 0
    assert all(row.output for row in (*done.base.rows, *done.tuned.rows))
    assert len({row.output for row in done.base.rows}) > 1
    generation = done.tuned.manifest.generation
    assert (generation["num_beams"], generation["min_length"], generation["max_length"]) == (4, 40, 150)
