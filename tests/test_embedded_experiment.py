"""The main job on the embedded experiment, against the stored baseline. Run once a session by the plugin's fixtures."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness import Arm, Experiment, Run, Verdict
from harness.baselines import Baseline
from harness.comparison import Outcome, compare
from harness.data.rows import hash_rows
from harness.gate import ExitCode

ROOT = Path(__file__).parents[1]


def test_every_requirement_holds(harness_verdict: Verdict) -> None:
    """The embedded default ends with exit code 0."""
    assert {finding.sentence: str(finding.status) for finding in harness_verdict.findings} == {
        finding.sentence: "holds" for finding in harness_verdict.findings
    }
    assert harness_verdict.exit_code is ExitCode.PASSED


def test_tuned_beats_and_differs_from_the_stored_base(
    harness_experiment: Experiment, harness_tuned: Arm, harness_baseline: Baseline | None
) -> None:
    """Today's tuned model is better than the base that was stored, in every metric, with other weights and words."""
    assert harness_baseline is not None
    comparison = compare(harness_tuned, harness_baseline.base, harness_experiment.gate, title="tuned vs stored base")
    assert comparison.outcome is Outcome.IMPROVED
    assert all(entry.gain_interval[0] > 5 and entry.p <= 0.05 for entry in comparison.metrics)
    assert not comparison.same_weights
    assert comparison.changed > 0.9 * comparison.rows


def test_base_has_not_drifted(harness_base: Arm, harness_baseline: Baseline | None) -> None:
    """The stored base is this base: the same weights, tokenizer, rows and settings."""
    assert harness_baseline is not None
    assert harness_base.manifest.model == harness_baseline.base.manifest.model
    assert harness_base.manifest.comparable == harness_baseline.base.manifest.comparable


def test_the_task_is_hard_enough(harness_base: Arm, harness_tuned: Arm) -> None:
    """There is room below and above: the base is poor and the tuned model far from perfect."""
    assert harness_base.manifest.scores["rouge1"] < 30
    assert 50 < harness_tuned.manifest.scores["rouge1"] < 95


def test_run_leaves_evidence(harness_run: Run) -> None:
    """Manifests name weights, rows, settings, signatures, seed and versions; both arms share what must be shared."""
    base, tuned = harness_run.base.manifest, harness_run.tuned.manifest
    assert base.comparable == tuned.comparable
    assert base.rows == hash_rows(harness_run.splits.eval)
    assert tuned.train_rows == hash_rows(harness_run.splits.train)
    assert base.model.weights != tuned.model.weights
    assert (base.method, tuned.method) == (None, "full")
    assert tuned.data["seed"] == harness_run.experiment.data.seed
    assert tuned.training["seed"] == harness_run.experiment.training.seed
    assert {"torch", "transformers", "device", "threads"} <= set(base.environment)
    assert len(harness_run.losses) == 150
    assert harness_run.labels.rows == 200
    assert harness_run.labels.supervised_tokens > 4000
    assert [row.id for row in harness_run.tuned.rows] == [row.id for row in harness_run.splits.eval]


def test_mean_of_rows_is_the_score(harness_tuned: Arm) -> None:
    """A stored score is the mean over its rows, nothing resampled."""
    for metric, score in harness_tuned.manifest.scores.items():
        assert score == pytest.approx(sum(row.scores[metric] for row in harness_tuned.rows) / 200, abs=1e-4)


def test_repository_holds_no_run_and_no_large_file() -> None:
    """What is tracked is code, text and small checkpoints."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout")
    done = subprocess.run(["git", "ls-files"], capture_output=True, text=True, check=True, cwd=ROOT)
    files = [ROOT / name for name in done.stdout.splitlines()]
    assert not [file for file in files if "runs" in file.relative_to(ROOT).parts]
    assert not [file for file in files if file.is_file() and file.stat().st_size > 7_000_000]
