"""Defects of metrics: the outputs are what they are, and the number is wrong."""

from __future__ import annotations

import math
import random
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch

from harness.checks.pipeline import Pipeline
from harness.defects.defect import defect
from harness.defects.reference import loop
from harness.defects.reference.rows import Row


def _scorer(*kinds: str, stemmer: bool = True) -> Any:
    from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415 - one of several metrics here

    return RougeScorer(list(kinds), use_stemmer=stemmer)


@defect(
    "rougelsum-without-newlines",
    "metric",
    reference="scores",
    symptom="rougeLsum equals rougeL to the last digit and lies ten points under published numbers.",
    source="https://github.com/huggingface/transformers/issues/4860",
)
def rougelsum_without_newlines(clean: Pipeline) -> Pipeline:
    """RougeLsum is computed on texts that have all their sentences on one line."""

    def metric(outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        scorer = _scorer("rouge1", "rougeL", "rougeLsum")
        rows = [scorer.score(reference, output) for output, reference in zip(outputs, references, strict=True)]
        return {kind: 100 * statistics.fmean(row[kind].fmeasure for row in rows) for kind in rows[0]}

    return replace(clean, metric=metric, comparison=replace(clean.comparison, base_metric=metric))


@defect(
    "rouge-stemmer-differs",
    "metric",
    reference="scores",
    symptom="A gain of about one point that is gone when both arms are scored by one script.",
    source="https://github.com/huggingface/datasets/issues/617",
)
def rouge_stemmer_differs(clean: Pipeline) -> Pipeline:
    """The baseline was scored without a stemmer, the candidate is scored with one."""

    def without_stemmer(outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        scorer = _scorer("rouge1", "rouge2", "rougeL", "rougeLsum", stemmer=False)
        rows = [
            scorer.score(reference.replace(". ", ".\n"), output.replace(". ", ".\n"))
            for output, reference in zip(outputs, references, strict=True)
        ]
        return {kind: 100 * statistics.fmean(row[kind].fmeasure for row in rows) for kind in rows[0]}

    return replace(clean, comparison=replace(clean.comparison, base_metric=without_stemmer))


@defect(
    "rouge-bootstrap-not-mean",
    "metric",
    reference="scores",
    symptom="The same file of outputs scores differently each time, in the first or second decimal.",
    source="https://github.com/huggingface/evaluate/issues/186",
)
def rouge_bootstrap_not_mean(clean: Pipeline) -> Pipeline:
    """The reported score is the median of resampled means, drawn without a seed."""

    def metric(outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        scorer = _scorer("rouge1", "rougeL")
        rows = [scorer.score(reference, output) for output, reference in zip(outputs, references, strict=True)]
        result = {}
        for kind in ("rouge1", "rougeL"):
            scores = [row[kind].fmeasure for row in rows]
            draws = random.SystemRandom()
            means = [statistics.fmean(draws.choices(scores, k=len(scores))) for _ in range(100)]
            result[kind] = 100 * statistics.median(means)
        return result

    return replace(clean, metric=metric, comparison=replace(clean.comparison, base_metric=None, arms=None))


@defect(
    "rouge-non-latin-zero",
    "metric",
    reference="scores",
    symptom="Perfect summaries in Hindi, Thai or Chinese score 0.",
    source="https://github.com/huggingface/evaluate/issues/256",
)
def rouge_non_latin_zero(clean: Pipeline) -> Pipeline:
    """Hindi summaries are scored by a ROUGE whose tokenizer keeps Latin letters and digits alone."""
    places = ("दिल्ली", "मुंबई", "जयपुर", "पटना", "लखनऊ", "भोपाल")

    def splits() -> dict[str, list[Row]]:
        rows = [
            {"id": f"{number}", "input": f"{place} में परिषद की बैठक हुई {number}", "target": f"{place} में बैठक हुई"}
            for number, place in enumerate(places * 4)
        ]
        return {"train": rows[:12], "eval": rows[12:]}

    return replace(clean, splits=splits)


@defect(
    "f1-of-averaged-precision-recall",
    "metric",
    reference="classifier",
    symptom="F1 lies above or below what scikit-learn says for the same labels.",
    source="https://github.com/haifengl/smile/pull/874",
)
def f1_of_averaged_precision_recall(clean: Pipeline) -> Pipeline:
    """Precision and recall are averaged over the classes first, and F1 is computed from the two averages."""

    def metric(outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        names = sorted(set(references))
        hits = {name: sum(o == r == name for o, r in zip(outputs, references, strict=True)) for name in names}
        precision = statistics.fmean(hits[name] / max(1, list(outputs).count(name)) for name in names)
        recall = statistics.fmean(hits[name] / list(references).count(name) for name in names)
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        return {"accuracy": 100 * sum(hits.values()) / len(references), "f1": 100 * f1}

    return replace(clean, metric=metric)


@defect(
    "bleu-references-transposed",
    "metric",
    reference="translation-scores",
    symptom="BLEU depends on the order of the rows, or is 100 as soon as the first row matches.",
    source="https://github.com/mjpost/sacrebleu/issues/272",
)
def bleu_references_transposed(clean: Pipeline) -> Pipeline:
    """Each reference is handed over as a list of its own, which the library reads as one set of references a row."""

    def metric(outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415

        rows = zip(*[[reference] for reference in references], strict=True)
        scored = [BLEU().corpus_score([output], [list(row)]) for output, row in zip(outputs, rows, strict=False)]
        return {"bleu": statistics.fmean(score.score for score in scored)}

    return replace(clean, metric=metric, comparison=replace(clean.comparison, base_metric=None))


@defect(
    "bleu-on-characters",
    "metric",
    reference="translation-scores",
    symptom="BLEU is far too high, and anagrams nearly match.",
    source="https://github.com/lisjin/hct/issues/1",
)
def bleu_on_characters(clean: Pipeline) -> Pipeline:
    """Texts are handed to a BLEU that expects lists of words, so it counts n-grams of characters."""

    def metric(outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        from nltk.translate.bleu_score import corpus_bleu  # noqa: PLC0415

        return {"bleu": 100 * float(corpus_bleu([[reference] for reference in references], list(outputs)))}

    return replace(clean, metric=metric, comparison=replace(clean.comparison, base_metric=None))


@defect(
    "bleu-tokenisation-mismatch",
    "metric",
    reference="translation-scores",
    symptom="Two papers, or two arms, differ by points that come from how words are cut.",
    source="https://github.com/huggingface/evaluate/issues/558",
)
def bleu_tokenisation_mismatch(clean: Pipeline) -> Pipeline:
    """The baseline's BLEU took lower-cased text split at blanks, the candidate's takes the standard tokenizer."""

    def split_at_blanks(outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
        from sacrebleu.metrics.bleu import BLEU  # noqa: PLC0415

        return {"bleu": BLEU(tokenize="none", lowercase=True).corpus_score(list(outputs), [list(references)]).score}

    return replace(clean, comparison=replace(clean.comparison, base_metric=split_at_blanks))


@defect(
    "seqeval-lenient-default",
    "metric",
    reference="tagger",
    symptom="F1 of 100 for tag sequences that are not even valid.",
    source="https://github.com/chakki-works/seqeval/issues/23",
)
def seqeval_lenient_default(clean: Pipeline) -> Pipeline:
    """Entities may start with I-, as in the default mode of the usual library."""

    def entities(tags: Sequence[str]) -> set[tuple[str, int, int]]:
        found, start = set(), None
        for place, tag in enumerate([*tags, "O"]):
            goes_on = start is not None and tag == f"I-{tags[start][2:]}"
            if start is not None and not goes_on:
                found.add((tags[start][2:], start, place))
                start = None
            if start is None and tag != "O":
                start = place
        return found

    def metric(outputs: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> dict[str, float]:
        said = {(row, *entity) for row, tags in enumerate(outputs) for entity in entities(tags)}
        meant = {(row, *entity) for row, tags in enumerate(references) for entity in entities(tags)}
        return {"f1": 200 * len(said & meant) / max(1, len(said) + len(meant))}

    return replace(clean, metric=metric)


@defect(
    "perplexity-counts-padding",
    "metric",
    reference="causal",
    symptom="Perplexity changes with the batch size.",
    source="https://github.com/axolotl-ai-cloud/axolotl/pull/3988",
)
def perplexity_counts_padding(clean: Pipeline) -> Pipeline:
    """Labels are a copy of the padded ids, so padding is scored as text."""
    assert clean.encode is not None and clean.collate is not None  # noqa: S101, PT018 - of the reference
    encode, collate = clean.encode, clean.collate

    def perplexity(model: Any, rows: Sequence[Row], *, batch_size: int = 8) -> float:
        features = encode(rows)
        total, tokens = 0.0, 0
        for start in range(0, len(features), batch_size):
            batch = dict(collate(features[start : start + batch_size]))
            batch["labels"] = batch["input_ids"].clone()
            with torch.inference_mode():
                total += float(model(**batch).loss) * batch["labels"][:, 1:].numel()
            tokens += batch["labels"][:, 1:].numel()
        return math.exp(total / tokens)

    return replace(clean, evaluate_loss=perplexity)


@defect(
    "loss-mean-of-batch-means",
    "metric",
    reference="seq2seq",
    symptom="The evaluation loss changes with the evaluation batch size and with the order of the rows.",
    source="https://github.com/huggingface/transformers/issues/39241",
)
def loss_mean_of_batch_means(clean: Pipeline) -> Pipeline:
    """The mean losses of the batches are averaged, however many tokens each has."""
    assert clean.encode is not None and clean.collate is not None  # noqa: S101, PT018
    encode, collate = clean.encode, clean.collate

    def evaluate_loss(model: Any, rows: Sequence[Row], *, batch_size: int = 8) -> float:
        features = encode(rows)
        losses = []
        for start in range(0, len(features), batch_size):
            with torch.inference_mode():
                losses.append(float(loop.model_loss(model, collate(features[start : start + batch_size]))))
        return statistics.fmean(losses)

    return replace(clean, evaluate_loss=evaluate_loss)


@defect(
    "metric-state-shared-or-stale",
    "metric",
    reference="scores",
    symptom="A second evaluation gives the average over its own and all earlier outputs.",
    source="https://github.com/huggingface/datasets/issues/1766",
)
def metric_state_shared_or_stale(clean: Pipeline) -> Pipeline:
    """All evaluations add to one metric object that nobody empties."""
    assert clean.metric is not None  # noqa: S101
    score = clean.metric
    outputs_so_far: list[str] = []
    references_so_far: list[str] = []

    def metric(outputs: Sequence[str], references: Sequence[str]) -> Mapping[str, float]:
        outputs_so_far.extend(outputs)
        references_so_far.extend(references)
        found: Mapping[str, float] = score(outputs_so_far, references_so_far)
        return found

    return replace(clean, metric=metric, comparison=replace(clean.comparison, base_metric=None, arms=None))


@defect(
    "empty-predictions-skipped",
    "metric",
    reference="scores",
    symptom="A model that often says nothing looks good.",
    source="",
)
def empty_predictions_skipped(clean: Pipeline) -> Pipeline:
    """Rows with an empty output are left out of the mean."""
    assert clean.metric is not None  # noqa: S101
    score = clean.metric

    def metric(outputs: Sequence[str], references: Sequence[str]) -> Mapping[str, float]:
        kept = [(output, reference) for output, reference in zip(outputs, references, strict=True) if output.strip()]
        found: Mapping[str, float] = score([output for output, _ in kept], [reference for _, reference in kept])
        return found

    return replace(clean, metric=metric, comparison=replace(clean.comparison, base_metric=metric))


@defect(
    "subtask-average-changed",
    "metric",
    reference="scores",
    symptom="The average over a benchmark moves by a point or two between two versions of a tool.",
    source="https://github.com/EleutherAI/lm-evaluation-harness/issues/1525",
)
def subtask_average_changed(clean: Pipeline) -> Pipeline:
    """The mean of the subtasks' means stands where the mean over all rows was declared."""

    def aggregate(scores: Mapping[str, Sequence[float]]) -> float:
        return statistics.fmean(statistics.fmean(rows) for rows in scores.values())

    return replace(clean, aggregate=aggregate)


@defect(
    "answer-extraction-format-sensitive",
    "metric",
    reference="scores",
    symptom="A chat model that answers rightly in its own words scores next to nothing.",
    source="https://github.com/huggingface/lighteval/issues/82",
)
def answer_extraction_format_sensitive(clean: Pipeline) -> Pipeline:
    """Only an answer behind four hash marks is found."""

    def extract(text: str) -> str:
        found = re.search(r"#### (-?[0-9.,]+)", text)
        return found.group(1) if found else "[invalid]"

    return replace(clean, extract=extract)
