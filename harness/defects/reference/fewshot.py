"""A clean few-shot evaluation: an untuned decoder is shown solved rows of the training split before it is asked."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.checks.pipeline import Declared, Pipeline
from harness.defects.reference import models, prompted, tokenizers
from harness.defects.reference.rows import Row, read_splits
from harness.defects.reference.seq2seq import LONGEST, read_rows, score_rouge

SHOTS = 2
"""Solved rows in a prompt."""
INSTRUCTION = "Tell each text again, shorter."


def make_pipeline(
    tokenizer: PreTrainedTokenizerBase, make_model: Callable[..., PreTrainedModel], *, name: str = "fewshot"
) -> Pipeline:
    """The pipeline over a tokenizer and a maker of models, ``(tokenizer, seed) -> model``."""
    make = partial(make_model, tokenizer)
    encode_prompt = partial(encode_prompts, tokenizer, write_prompt)
    generate = partial(prompted.generate_texts, tokenizer, encode_prompt)
    return Pipeline(
        name=name,
        declared=Declared(task="generation", max_new_tokens=LONGEST, metric_range=(0.0, 100.0)),
        tokenizer=tokenizer,
        splits=read_splits,
        read=read_rows,
        prompt=write_prompt,
        encode_prompt=encode_prompt,
        make_model=lambda seed=0: make(seed),
        generate=generate,
        evaluate=partial(prompted.evaluate_rows, generate),
        metric=score_rouge,
    )


def write_prompt(row: Row) -> str:
    """What the model reads: an instruction, other rows with their answers, and this row."""
    others = [other for other in read_splits()["train"] if other["id"] != row["id"]]
    return tell(random.Random(row["id"]).sample(others, SHOTS), row)


def tell(demonstrations: Sequence[Row], row: Row) -> str:
    """A prompt with solved rows before the one that is asked about."""
    solved = [f"Text: {other['input']}\nSummary: {other['target']}" for other in demonstrations]
    return "\n\n".join([INSTRUCTION, *solved, f"Text: {row['input']}\nSummary:"])


def encode_prompts(
    tokenizer: PreTrainedTokenizerBase, write: Callable[[Row], str], rows: Sequence[Row]
) -> list[list[int]]:
    """The prompts as ids."""
    ids: list[list[int]] = tokenizer([write(row) for row in rows], split_special_tokens=True)["input_ids"]
    return ids


PIPELINE = make_pipeline(tokenizers.causal_tokenizer(), models.make_llama)
