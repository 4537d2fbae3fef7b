"""Checks of arms and decisions: honest comparisons pass, and faults outside of the catalogue go red too."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from harness.checks.pipeline import Pipeline
from harness.defects.reference import REFERENCES
from harness.defects.reference.scores import make_arms
from tests.checks.planted import audit_with, checks_of, complaints, failures

CHECKS = checks_of("arms", "decisions")
CLEAN = REFERENCES["scores"]


def with_parts(**changes: Any) -> Pipeline:
    return replace(CLEAN, comparison=replace(CLEAN.comparison, **changes))


def with_arm(role: str, **changes: Any) -> Pipeline:
    def arms() -> dict[str, dict[str, Any]]:
        made = make_arms()
        made[role] |= changes
        return made

    return with_parts(arms=arms)


def paired_t(base: Sequence[float], tuned: Sequence[float]) -> bool:
    return bool(stats.ttest_rel(base, tuned).pvalue < 0.05)


def wilcoxon(base: Sequence[float], tuned: Sequence[float]) -> bool:
    return bool(stats.wilcoxon(base, tuned).pvalue < 0.05)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("decide", [CLEAN.comparison.decide, paired_t, wilcoxon], ids=["sign flips", "t", "Wilcoxon"])
def test_honest_decisions_pass(decide: Any, seed: int) -> None:
    """Paired tests of several kinds hold their level and find large gains, whatever the seed."""
    assert complaints(audit_with(with_parts(decide=decide), CHECKS, seed=seed)) == []


@pytest.mark.parametrize(
    ("pipeline", "check", "suspect"),
    [
        (
            with_parts(decide=lambda base, tuned: statistics.fmean(tuned) > statistics.fmean(base)),
            "two-runs-of-one-system-rarely-differ",
            "single-run-unpaired-test",
        ),
        (with_parts(decide=lambda *_: False), "two-runs-of-one-system-rarely-differ", "single-run-unpaired-test"),
        (
            with_parts(decide_runs=lambda base, tuned: paired_t(*map(np.ravel, (base, tuned)))),
            "seed-noise-is-not-taken-for-a-gain",
            "seed-noise-taken-as-gain",
        ),
        (
            with_parts(summarise_base=max, summarise_tuned=max),
            "several-seeds-are-summed-up-fairly",
            "best-of-n-seeds-reported",
        ),
        (
            with_parts(summarise_base=statistics.median),
            "several-seeds-are-summed-up-fairly",
            "best-of-n-seeds-reported",
        ),
        (
            with_arm("tuned", outputs=make_arms()["base"]["outputs"]),
            "arms-are-two-models",
            "base-model-mutated-in-place",
        ),
        (
            with_arm("tuned", reported={"rouge1": 0.87}),
            "reported-scores-are-those-of-the-outputs",
            "unit-mismatch-percent-fraction",
        ),
        (
            with_arm("tuned", generation={"num_beams": 4, "do_sample": False}),
            "arms-are-decoded-alike",
            "different-decoding-per-arm",
        ),
        (
            with_arm("base", inputs=["no prefix"] * 24),
            "arms-are-scored-on-the-same-rows",
            "missing-task-prefix",
        ),
        (
            with_arm("base", signatures={"rouge1": "rouge1|F|stemmer:no"}),
            "arms-are-scored-by-the-same-metric",
            "rouge-stemmer-differs",
        ),
    ],
    ids=["two numbers", "never", "rows of all seeds", "best for both", "mean and median", "one model", "unit", "beams",
         "prefix", "signature"],
)  # fmt: skip
def test_faults_outside_of_the_catalogue_are_seen(pipeline: Pipeline, check: str, suspect: str) -> None:
    """A comparison that is wrong in another way fails the check of its kind, which names the nearest defect."""
    found = failures(audit_with(pipeline, CHECKS))
    assert suspect in found[check]


def test_baseline_that_is_rewritten_with_the_same_content_is_seen(tmp_path: Path) -> None:
    """Writing equal bytes is refreshing too: tomorrow they will not be equal. A new report beside it is no harm."""

    def evaluate(folder: Path, name: str) -> None:
        (folder / "baseline.json").touch() if name == "touched" else None
        if not (folder / "baseline.json").exists() or name == "rewritten":
            (folder / "baseline.json").write_text("{}", encoding="utf-8")
        (folder / f"report-{len(list(folder.iterdir()))}.txt").write_text(name, encoding="utf-8")

    for name, bad in (("kept", False), ("rewritten", True)):
        found = failures(audit_with(with_parts(evaluate=lambda folder, name=name: evaluate(folder, name)), CHECKS))
        assert ("evaluation-leaves-the-baseline-alone" in found) is bad


@pytest.mark.slow
def test_check_is_quick_for_slow_decisions() -> None:
    """A decision that takes a tenth of a second is tried less often, not for a minute."""
    import time  # noqa: PLC0415

    def slow(base: Sequence[float], tuned: Sequence[float]) -> bool:
        time.sleep(0.02)
        return paired_t(base, tuned)

    began = time.perf_counter()
    assert complaints(audit_with(with_parts(decide=slow), checks_of("decisions")[:1])) == []
    assert time.perf_counter() - began < 20
