"""A clean encoder-decoder pipeline that is told the language to write by the first token of its outputs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.checks.pipeline import Pipeline
from harness.defects.reference import models, seq2seq, tokenizers
from harness.defects.reference.rows import Row

LANGUAGE = "<2de>"


def make_pipeline(tokenizer: PreTrainedTokenizerBase, *, name: str = "translator") -> Pipeline:
    """The pipeline over a tokenizer that has the language as a special token."""
    pipeline = seq2seq.make_pipeline(tokenizer, make_model, name=name)
    encode, collate = partial(encode_rows, tokenizer), partial(seq2seq.collate_features, tokenizer)
    return replace(
        pipeline,
        encode=encode,
        train=partial(seq2seq.train_rows, encode, collate),
        resume=partial(seq2seq.train_rows, encode, collate, resume=True),
        evaluate_loss=partial(seq2seq.evaluate_loss, encode, collate),
        generate_scored=None,
    )


def make_model(tokenizer: PreTrainedTokenizerBase, seed: int) -> PreTrainedModel:
    """A Marian that begins every output with the language, as M2M100 and mBART do."""
    model = models.make_marian(tokenizer, seed)
    model.generation_config.forced_bos_token_id = tokenizer.convert_tokens_to_ids(LANGUAGE)
    return model


def encode_rows(
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    *,
    max_input_tokens: int = 128,
    max_target_tokens: int = 64,
) -> list[dict[str, Any]]:
    """Rows as ids; the language stands before each target."""
    features = seq2seq.encode_rows(
        tokenizer, rows, max_input_tokens=max_input_tokens, max_target_tokens=max_target_tokens - 1
    )
    language = tokenizer.convert_tokens_to_ids(LANGUAGE)
    return [{**feature, "labels": [language, *feature["labels"]]} for feature in features]


def with_language(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The same tokenizer with one more special token."""
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.add_tokens([LANGUAGE], special_tokens=True)
    return tokenizer


PIPELINE = make_pipeline(with_language(tokenizers.t5_tokenizer()))
