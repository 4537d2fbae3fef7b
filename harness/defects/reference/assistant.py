"""A clean chat pipeline as of a GPT-2: pad and end are one token, and the template marks what the assistant says."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache, partial
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.checks.pipeline import Pipeline
from harness.defects.reference import chat, loop, models, tokenizers
from harness.defects.reference.causal import collate_features
from harness.defects.reference.rows import Row
from harness.defects.reference.seq2seq import evaluate_loss, train_rows


@cache
def assistant_tokenizer() -> PreTrainedTokenizerBase:
    """The small causal tokenizer without a pad token of its own, as GPT-2 has none."""
    tokenizer = copy.deepcopy(tokenizers.causal_tokenizer())
    tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def make_pipeline(
    tokenizer: PreTrainedTokenizerBase, make_model: Callable[..., PreTrainedModel], *, name: str = "assistant"
) -> Pipeline:
    """The pipeline over a tokenizer whose template has generation markers, and a maker of models."""
    clean = chat.make_pipeline(tokenizer, make_model, name=name)
    encode, collate = partial(encode_rows, tokenizer), partial(collate_features, tokenizer)
    return replace(
        clean,
        encode=encode,
        train=partial(train_rows, encode, collate),
        resume=partial(train_rows, encode, collate, resume=True),
        evaluate_loss=partial(evaluate_loss, encode, collate),
    )


def encode_rows(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Conversations as ids; what the template marks as the assistant's, the end token with it, has labels."""
    features = []
    for row in rows:
        messages = [*chat.write_prompt(row), {"role": "assistant", "content": row["target"]}]
        encoded = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
        features.append(
            {
                "input_ids": encoded["input_ids"],
                "attention_mask": encoded["attention_mask"],
                "labels": [
                    token if said else loop.IGNORE_INDEX
                    for token, said in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True)
                ],
            }
        )
    return features


PIPELINE = make_pipeline(assistant_tokenizer(), models.make_gpt2)
