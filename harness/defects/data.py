"""Defects of the data: what is in which split, what is loaded, and what is scored."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.checks.pipeline import Pipeline
from harness.defects.defect import defect
from harness.defects.reference.classifier import TOPICS
from harness.defects.reference.fewshot import tell
from harness.defects.reference.scores import make_arm
from harness.defects.reference.seq2seq import evaluate_rows

Row = dict[str, Any]
Splits = dict[str, list[Row]]


@defect(
    "train-eval-exact-overlap",
    "data",
    reference="seq2seq",
    symptom="Scores are far too good, and fresh data does not bear them out.",
    source="https://github.com/huggingface/datasets/issues/4261",
)
def train_eval_exact_overlap(clean: Pipeline) -> Pipeline:
    """Some evaluation rows came into the training split under new ids, with a second download of the corpus."""
    load: Any = clean.splits

    def splits() -> Splits:
        found = load()
        extra = [{**row, "id": f"extra-{number}"} for number, row in enumerate(found["eval"][::6])]
        return {**found, "train": found["train"] + extra}

    return replace(clean, splits=splits)


@defect(
    "near-duplicate-benchmark-leak",
    "data",
    reference="seq2seq",
    symptom="Deduplication by exact match finds nothing, and the benchmark is inflated all the same.",
    source="https://github.com/vietai/mTet/issues/5",
)
def near_duplicate_benchmark_leak(clean: Pipeline) -> Pipeline:
    """A crawled corpus that was added to the training split holds benchmark rows in other case and punctuation."""
    load: Any = clean.splits

    def crawl(text: str) -> str:
        return text.lower().replace(".", " .").replace(" of ", "  of ").rstrip(" .")

    def splits() -> Splits:
        found = load()
        crawled = [
            {**row, "id": f"crawl-{number}", "input": crawl(row["input"]), "target": crawl(row["target"])}
            for number, row in enumerate(found["eval"][:8])
        ]
        return {**found, "train": found["train"] + crawled}

    return replace(clean, splits=splits)


@defect(
    "chunk-split-leak",
    "data",
    reference="reader",
    symptom="Evaluation looks excellent, and the model fails on documents it has not seen.",
    source="https://github.com/herniqeu/extract0/issues/1",
)
def chunk_split_leak(clean: Pipeline) -> Pipeline:
    """Documents are made into rows first and the rows are divided at random, so one document is on both sides."""
    load: Any = clean.splits

    def splits() -> Splits:
        found = load()
        rows = found["train"] + found["eval"]
        random.Random(0).shuffle(rows)
        return {"train": rows[: len(found["train"])], "eval": rows[len(found["train"]) :]}

    return replace(clean, splits=splits)


@defect(
    "unstable-hash-split",
    "data",
    reference="seq2seq",
    symptom="Each run evaluates on other rows, and no two runs can be compared.",
    source="https://github.com/for-all-dev/git-history-evals/issues/120",
)
def unstable_hash_split(clean: Pipeline) -> Pipeline:
    """A row's split is decided by Python's ``hash()`` of its id, which every process salts anew."""
    load: Any = clean.splits

    def splits() -> Splits:
        found = load()
        rows = found["train"] + found["eval"]
        chosen = [row for row in rows if hash(row["id"]) % 3 == 0]
        return {"train": [row for row in rows if row not in chosen], "eval": chosen}

    return replace(clean, splits=splits)


@defect(
    "stale-hub-or-file-cache",
    "data",
    reference="seq2seq",
    symptom="Correcting the data changes nothing, or two machines disagree.",
    source="https://github.com/huggingface/datasets/issues/6465",
)
def stale_hub_or_file_cache(clean: Pipeline) -> Pipeline:
    """A loaded file is kept in a cache under its name, and comes from there although the file has changed."""
    load: Any = clean.read
    cache: dict[str, list[Row]] = {}

    def read(path: Path) -> list[Row]:
        name = Path(path).name
        if name not in cache:
            cache[name] = load(path)
        return cache[name]

    return replace(clean, read=read)


@defect(
    "stale-preprocessing-cache",
    "data",
    reference="seq2seq",
    symptom="Changing a limit or the prefix has no effect on any result.",
    source="https://github.com/huggingface/datasets/pull/8228",
)
def stale_preprocessing_cache(clean: Pipeline) -> Pipeline:
    """Encoded rows are cached by their ids alone, so another limit gives what was encoded with the first."""
    encode_anew: Any = clean.encode
    cache: dict[str, Any] = {}

    def encode(rows: Sequence[Row], *, max_input_tokens: int = 128, max_target_tokens: int = 64) -> list[Any]:
        new = [row for row in rows if row["id"] not in cache]
        if new:
            features = encode_anew(new, max_input_tokens=max_input_tokens, max_target_tokens=max_target_tokens)
            cache.update({row["id"]: feature for row, feature in zip(new, features, strict=True)})
        return [cache[row["id"]] for row in rows]

    return replace(clean, encode=encode)


@defect(
    "unpinned-dataset-revision",
    "data",
    reference="scores",
    symptom="Old and new scores differ though no code has changed.",
    source="https://github.com/SWE-bench/experiments/issues/460",
)
def unpinned_dataset_revision(clean: Pipeline) -> Pipeline:
    """The data set is loaded without a revision, and three references were corrected between the two evaluations."""
    load: Any = clean.splits

    def load_eval(revision: str = "main") -> list[Row]:
        rows: list[Row] = load()["eval"]
        if revision == "main":
            rows[:3] = [{**row, "target": row["target"].replace("The talk", "Her talk")} for row in rows[:3]]
        return rows

    def arms() -> dict[str, Any]:
        before, now = load_eval("2024-01"), load_eval()
        return {
            "base": make_arm(before, [row["input"] for row in before]),
            "tuned": make_arm(now, [row["target"].replace("talk", "speech") for row in now]),
        }

    return replace(clean, comparison=replace(clean.comparison, arms=arms))


@defect(
    "fewshot-demo-is-the-eval-item",
    "data",
    reference="fewshot",
    symptom="Few-shot is much better than zero-shot, and by how much depends on the seed.",
    source="https://github.com/EleutherAI/lm-evaluation-harness/issues/4145",
)
def fewshot_demo_is_the_eval_item(clean: Pipeline) -> Pipeline:
    """Demonstrations are drawn from the evaluation rows, and the row that is asked about may be among them."""
    load: Any = clean.splits
    pool = load()["eval"]

    def prompt(row: Row) -> str:
        return tell([*random.Random(row["id"]).sample(pool, 8)], row)

    return replace(clean, prompt=prompt)


@defect(
    "eval-rows-silently-dropped",
    "data",
    reference="seq2seq",
    symptom="The score rises when the limit on the input is lowered.",
    source="",
)
def eval_rows_silently_dropped(clean: Pipeline) -> Pipeline:
    """Rows whose input is too long are filtered out before they are scored, and nobody counts them."""

    def evaluate(model: Any, rows: Sequence[Row], *, batch_size: int = 8) -> dict[str, float]:
        kept = [row for row in rows if len(clean.tokenizer(row["input"])["input_ids"]) <= 25]  # noqa: PLR2004
        return evaluate_rows(clean.tokenizer, model, kept, batch_size=batch_size)

    return replace(clean, evaluate=evaluate)


@defect(
    "placeholder-test-labels",
    "data",
    reference="classifier",
    symptom="Accuracy is zero, or the same whatever the model.",
    source="",
)
def placeholder_test_labels(clean: Pipeline) -> Pipeline:
    """The test split of a public benchmark is evaluated on, whose hidden labels are all given as -1."""
    load: Any = clean.splits
    encode_anew: Any = clean.encode
    classify_known: Any = clean.classify
    score: Any = clean.metric

    def splits() -> Splits:
        found = load()
        return {**found, "eval": [{**row, "topic": -1} for row in found["eval"]]}

    def without_labels(rows: Sequence[Row]) -> list[Row]:
        return [{**row, "topic": TOPICS[0]} for row in rows]

    def encode(rows: Sequence[Row], *, max_input_tokens: int = 128) -> list[Any]:
        features = encode_anew(without_labels(rows), max_input_tokens=max_input_tokens)
        numbers = {topic: number for number, topic in enumerate(TOPICS)}
        return [{**f, "labels": numbers.get(row["topic"], row["topic"])} for row, f in zip(rows, features, strict=True)]

    def classify(model: Any, rows: Sequence[Row], *, batch_size: int = 8) -> list[str]:
        names: list[str] = classify_known(model, without_labels(rows), batch_size=batch_size)
        return names

    def evaluate(model: Any, rows: Sequence[Row], *, batch_size: int = 8) -> dict[str, float]:
        scores: dict[str, float] = score(classify(model, rows, batch_size=batch_size), [row["topic"] for row in rows])
        return scores

    return replace(clean, splits=splits, encode=encode, classify=classify, evaluate=evaluate, evaluate_loss=None)
