"""A clean prompted classification: a causal model reads a question, and the likeliest label name is its answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.checks.pipeline import Declared, Pipeline
from harness.defects.reference import causal, models, tokenizers
from harness.defects.reference.rows import Row, read_splits

LABELS = ("positive", "possible", "negative")
"""Two of them begin with the same letters, and in most vocabularies with the same piece."""


def make_pipeline(
    tokenizer: PreTrainedTokenizerBase, make_model: Callable[..., PreTrainedModel], *, name: str = "verbaliser"
) -> Pipeline:
    """The pipeline over a tokenizer and a maker of models, ``(tokenizer, seed) -> model``."""
    return Pipeline(
        name=name,
        declared=Declared(labels=LABELS, target_column="label"),
        tokenizer=tokenizer,
        splits=label_splits,
        prompt=causal.write_prompt,
        encode=lambda rows: causal.encode_rows(tokenizer, [{**row, "target": row["label"]} for row in rows]),
        collate=partial(causal.collate_features, tokenizer),
        make_model=lambda seed=0: make_model(tokenizer, seed),
        classify=partial(classify_rows, tokenizer),
        score_continuation=partial(causal.score_continuation, tokenizer),
    )


def label_splits() -> dict[str, list[Row]]:
    """The short texts, each with one of the labels."""
    return {
        name: [
            {"id": row["id"], "input": row["input"], "label": LABELS[place % len(LABELS)]}
            for place, row in enumerate(rows)
        ]
        for name, rows in read_splits().items()
    }


def classify_rows(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, rows: Sequence[Row]) -> list[str]:
    """The label whose whole name is likeliest per token behind the prompt."""
    answers = []
    for row in rows:
        prompt = causal.write_prompt(row)
        scores = {}
        for label in LABELS:
            tokens = tokenizer(" " + label, add_special_tokens=False)["input_ids"]
            scores[label] = causal.score_continuation(tokenizer, model, prompt, " " + label) / len(tokens)
        answers.append(max(LABELS, key=scores.__getitem__))
    return answers


PIPELINE = make_pipeline(tokenizers.causal_tokenizer(), models.make_llama)
