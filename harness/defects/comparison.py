"""Defects of comparing two arms: each number is right, and the conclusion is wrong."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.checks.pipeline import Pipeline
from harness.defects.defect import defect
from harness.defects.reference.rows import Row, read_splits
from harness.defects.reference.scores import make_arm, make_arms


@defect(
    "different-eval-slice-per-arm",
    "comparison",
    reference="scores",
    symptom="A gain or a loss out of nothing.",
    source="",
)
def different_eval_slice_per_arm(clean: Pipeline) -> Pipeline:
    """The baseline was scored on the first rows, the candidate on rows drawn at random."""

    def arms() -> dict[str, dict[str, Any]]:
        rows = read_splits()["eval"]
        first, drawn = rows[:12], [rows[place] for place in (3, 22, 8, 15, 1, 19, 11, 6, 23, 14, 9, 17)]
        return {
            "base": make_arm(first, [row["input"] for row in first]),
            "tuned": make_arm(drawn, [row["target"] for row in drawn]),
        }

    return replace(clean, comparison=replace(clean.comparison, arms=arms))


@defect(
    "different-decoding-per-arm",
    "comparison",
    reference="scores",
    symptom="A point of ROUGE that comes from cutting one arm's outputs alone.",
    source="https://github.com/microsoft/unilm/issues/8",
)
def different_decoding_per_arm(clean: Pipeline) -> Pipeline:
    """The candidate's outputs are cut to seventy words before they are scored, the baseline's are not."""

    def cut_to_seventy_words(text: str) -> str:
        return " ".join(text.split()[:70])

    return replace(clean, comparison=replace(clean.comparison, postprocess=cut_to_seventy_words))


@defect(
    "baseline-silently-refreshed",
    "comparison",
    reference="scores",
    symptom="A regression can never be seen.",
    source="https://github.com/EleutherAI/lm-evaluation-harness/issues/614",
)
def baseline_silently_refreshed(clean: Pipeline) -> Pipeline:
    """The evaluation stores its own scores as the new baseline when it is done."""

    def evaluate(folder: Path) -> bool:
        stored = Path(folder) / "baseline.json"
        scores: dict[str, float] = make_arms()["tuned"]["reported"]
        before: dict[str, float] = json.loads(stored.read_text(encoding="utf-8")) if stored.exists() else scores
        stored.write_text(json.dumps(scores), encoding="utf-8")
        return all(scores[name] >= value for name, value in before.items())

    return replace(clean, comparison=replace(clean.comparison, evaluate=evaluate))


@defect(
    "single-run-unpaired-test",
    "comparison",
    reference="scores",
    symptom="An improvement of one percent that does not replicate, or a real one that is never found.",
    source="https://arxiv.org/html/2511.19794v1",
)
def single_run_unpaired_test(clean: Pipeline) -> Pipeline:
    """Two lists of row scores are compared by a t-test that does not know which rows belong together."""

    def decide(base: Sequence[float], tuned: Sequence[float]) -> bool:
        error: float = (statistics.variance(base) / len(base) + statistics.variance(tuned) / len(tuned)) ** 0.5
        difference: float = abs(statistics.fmean(tuned) - statistics.fmean(base))
        return difference > 1.96 * error

    return replace(clean, comparison=replace(clean.comparison, decide=decide))


@defect(
    "seed-noise-taken-as-gain",
    "comparison",
    reference="scores",
    symptom="The gain is gone with another seed.",
    source="https://arxiv.org/html/2503.07329v1",
)
def seed_noise_taken_as_gain(clean: Pipeline) -> Pipeline:
    """The best run of one arm is tested against the first run of the other, row by row."""
    assert clean.comparison.decide is not None  # noqa: S101 - of the reference
    decide = clean.comparison.decide

    def decide_runs(base: Sequence[Sequence[float]], tuned: Sequence[Sequence[float]]) -> bool:
        return bool(decide(base[0], max(tuned, key=statistics.fmean)))

    return replace(clean, comparison=replace(clean.comparison, decide_runs=decide_runs))


@defect(
    "best-of-n-seeds-reported",
    "comparison",
    reference="scores",
    symptom="The method with the larger spread wins.",
    source="https://github.com/seg/2016-ml-contest/issues/114",
)
def best_of_n_seeds_reported(clean: Pipeline) -> Pipeline:
    """For the candidate the best of several seeds is reported, for the baseline their mean."""
    return replace(clean, comparison=replace(clean.comparison, summarise_tuned=max))


@defect(
    "unit-mismatch-percent-fraction",
    "comparison",
    reference="scores",
    symptom="The gate never opens, or never closes.",
    source="https://github.com/huggingface/transformers/pull/6359",
)
def unit_mismatch_percent_fraction(clean: Pipeline) -> Pipeline:
    """The metric is in percent points, and the gate asks for at least 0.5."""
    return replace(clean, comparison=replace(clean.comparison, threshold={"rouge1": 0.5}))


@defect(
    "checkpoint-selected-on-test",
    "comparison",
    reference="scores",
    symptom="The test score is better than any later one.",
    source="",
)
def checkpoint_selected_on_test(clean: Pipeline) -> Pipeline:
    """Early stopping watches the rows that are reported on."""

    def selection_rows() -> list[Row]:
        return read_splits()["eval"]

    return replace(clean, comparison=replace(clean.comparison, selection_rows=selection_rows))


@defect(
    "guard-that-never-fires",
    "comparison",
    reference="guarded",
    symptom="Rows without any label train in silence, although there is a filter against them.",
    source="https://github.com/axolotl-ai-cloud/axolotl/pull/3864",
)
def guard_that_never_fires(clean: Pipeline) -> Pipeline:
    """The filter compares the whole list of labels with -100, which no list equals, so no row is ever dropped."""

    def drop_unlabelled(features: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        return [feature for feature in features if feature["labels"] != -100]  # noqa: PLR2004 - the bug

    return replace(clean, filter_features=drop_unlabelled)
