"""Checks of metrics: honest ones of many kinds pass, and faults outside of the catalogue go red too."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from harness.checks.pipeline import Declared, Pipeline
from harness.defects.reference import REFERENCES
from tests.checks.planted import audit_with, checks_of, complaints, failures

CHECKS = checks_of("metrics", "scoring")
WORDS = ("rain", "wind", "snow", "hail", "fog", "sun")
TEXTS = [f"Row {number} tells of {word}. It ends." for number, word in enumerate(WORDS)]
LABELS = ["yes", "no", "yes", "yes", "no", "maybe"]


def over(references: Sequence[Any], metric: Callable[..., Any], **declared: Any) -> Pipeline:
    rows = [{"id": str(n), "input": f"input {n}", "target": target} for n, target in enumerate(references)]
    return Pipeline(splits=lambda: {"train": rows, "eval": rows}, metric=metric, declared=Declared(**declared))


def exact_match(outputs: Sequence[str], references: Sequence[str]) -> float:
    return sum(map(str.__eq__, outputs, references)) / len(references)


def chrf(outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    from sacrebleu.metrics.chrf import CHRF  # noqa: PLC0415

    return {"chrf": CHRF().corpus_score(list(outputs), [list(references)]).score}


def word_errors(outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    pairs = [(set(o.split()), set(r.split())) for o, r in zip(outputs, references, strict=True)]
    return {"wer": statistics.fmean(len(r - o) / len(r) for o, r in pairs), "rows": len(pairs)}


def sklearn_scores(outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    from sklearn.metrics import accuracy_score, f1_score  # noqa: PLC0415

    found = {average: f1_score(references, outputs, average=average) for average in ("macro", "micro", "weighted")}
    return {"accuracy": accuracy_score(references, outputs), **{f"{name}_f1": value for name, value in found.items()}}


def seqeval_strict(outputs: Any, references: Any) -> dict[str, float]:
    from seqeval.metrics import f1_score  # noqa: PLC0415
    from seqeval.scheme import IOB2  # noqa: PLC0415

    return {"f1": f1_score(references, outputs, mode="strict", scheme=IOB2)}


def seqeval_default(outputs: Any, references: Any) -> dict[str, float]:
    from seqeval.metrics import f1_score  # noqa: PLC0415

    return {"f1": f1_score(references, outputs)}


@pytest.mark.parametrize("name", ["seq2seq", "causal", "classifier", "tagger", "scores", "translation-scores"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_clean_references_pass(name: str, seed: int) -> None:
    """No check of metrics complains about a clean pipeline."""
    assert complaints(audit_with(REFERENCES[name], CHECKS, seed=seed)) == []


@pytest.mark.parametrize(
    "pipeline",
    [
        over(TEXTS, exact_match),
        over(TEXTS, lambda outputs, references: {"em": 100 * exact_match(outputs, references), "count": len(outputs)}),
        over(TEXTS, chrf),
        over(TEXTS, word_errors),
        over(LABELS, sklearn_scores, metric_range=(0.0, 1.0)),
        over([["B-A", "I-A"], ["O", "B-B"]], seqeval_strict),
    ],
    ids=["share", "percent", "chrf", "lower is better", "scikit-learn", "seqeval strict"],
)
def test_honest_metrics_of_others_pass(pipeline: Pipeline) -> None:
    """Shares and percents, corpus metrics, error rates and the field's own libraries raise no alarm."""
    report = audit_with(pipeline, CHECKS)
    assert complaints(report) == []
    assert report.passed


@pytest.mark.parametrize(
    ("pipeline", "check", "suspect"),
    [
        (over(TEXTS, lambda o, r: {"em": 0.7}), "perfect-outputs-score-the-maximum", "bleu-references-transposed"),
        (
            over(TEXTS, exact_match, metric_range=(0.0, 100.0)),
            "perfect-outputs-score-the-maximum",
            "unit-mismatch-percent-fraction",
        ),
        (
            over(TEXTS, lambda o, r: exact_match(o[:-1], r[:-1])),
            "every-row-counts-in-the-metric",
            "last-partial-batch-dropped",
        ),
        (
            over(TEXTS, lambda o, r: exact_match(sorted(o, reverse=True), r)),
            "perfect-outputs-score-the-maximum",
            "bleu-references-transposed",
        ),
        (
            over([["B-A", "I-A"], ["O", "B-B"]], seqeval_default),
            "known-scores-are-reproduced",
            "seqeval-lenient-default",
        ),
        (
            over(TEXTS, lambda o, r: {"rouge1": 100 * exact_match(o, r)}),
            "known-scores-are-reproduced",
            "f1-of-averaged-precision-recall",
        ),
    ],
    ids=["constant", "unit", "last row", "sorted outputs", "seqeval default", "not rouge"],
)
def test_faults_outside_of_the_catalogue_are_seen(pipeline: Pipeline, check: str, suspect: str) -> None:
    """A metric that is wrong in another way fails the check of its kind, which names the nearest defect."""
    found = failures(audit_with(pipeline, CHECKS))
    assert check in found
    assert suspect in found[check]


def test_honest_answer_extraction_and_averages_pass() -> None:
    """An extraction that finds the last number, and either average where it is declared, raise no alarm."""
    clean = REFERENCES["scores"]
    macro = replace(
        clean,
        declared=replace(clean.declared, metric_average="macro"),
        aggregate=lambda scores: statistics.fmean(statistics.fmean(rows) for rows in scores.values()),
    )
    assert complaints(audit_with(macro, CHECKS)) == []


def test_loss_check_tells_padding_from_weighting() -> None:
    """A perplexity per row that is averaged over rows is a mean of means, not a matter of padding."""
    clean = REFERENCES["causal"]
    evaluate = clean.evaluate_loss

    def mean_of_rows(model: Any, rows: Sequence[Any], *, batch_size: int) -> float:
        chunks = [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]
        return statistics.fmean(evaluate(model, chunk) for chunk in chunks)

    found = failures(audit_with(replace(clean, evaluate_loss=mean_of_rows), CHECKS))
    assert found["evaluation-loss-does-not-depend-on-batches"][0] == "loss-mean-of-batch-means"
