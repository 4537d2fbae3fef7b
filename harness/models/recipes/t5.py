"""The tiny T5 learns to fill holes in documents and, in turns with that, to copy single sentences."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from transformers import PreTrainedTokenizerBase, T5Config, T5ForConditionalGeneration

from harness.data.newsroom.draw import Draw
from harness.models.recipes.batches import pad_ids, pad_labels, split_sentences
from harness.models.recipes.recipe import Recipe
from harness.models.span_corruption import corrupt_spans
from harness.models.tokenizer_recipe import SpecialTokens

MAX_LENGTH = 512
SENTINELS = tuple(f"<extra_id_{number}>" for number in range(32))
"""The tokens that stand for a hole in span corruption (T5, Raffel et al. 2020, section 3.1.4)."""
SPAN_DOCUMENTS = 24
"""Documents in a batch of span corruption."""
COPY_SENTENCES = 64
"""Sentences in a batch of copying."""


def make_model(tokenizer: PreTrainedTokenizerBase) -> T5ForConditionalGeneration:
    """A new model of 1.6 M parameters."""
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=128,
        d_kv=32,
        d_ff=512,
        num_layers=3,
        num_heads=4,
        dropout_rate=0.0,
        relative_attention_num_buckets=32,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    return T5ForConditionalGeneration(config)


def span_batch(texts: Iterator[str], tokenizer: PreTrainedTokenizerBase, draw: Draw) -> dict[str, torch.Tensor]:
    """Documents with holes to fill, as `pad_pairs` returns them."""
    sentinels = tokenizer.convert_tokens_to_ids(list(SENTINELS))
    documents_ids = tokenizer(
        list(itertools.islice(texts, SPAN_DOCUMENTS)), add_special_tokens=False, truncation=True, max_length=MAX_LENGTH
    )["input_ids"]
    return pad_pairs(
        [corrupt_spans(ids, sentinels=sentinels, eos=tokenizer.eos_token_id, draw=draw) for ids in documents_ids],
        tokenizer,
    )


def copy_batch(texts: Iterator[str], tokenizer: PreTrainedTokenizerBase, draw: Draw) -> dict[str, torch.Tensor]:
    """Sentences to copy, as `pad_pairs` returns them."""
    sentences = [draw.pick(split_sentences(next(texts))) for _ in range(COPY_SENTENCES)]
    return pad_pairs(
        [(ids, ids) for ids in tokenizer(sentences, truncation=True, max_length=MAX_LENGTH)["input_ids"]], tokenizer
    )


def pad_pairs(pairs: list[tuple[list[int], list[int]]], tokenizer: PreTrainedTokenizerBase) -> dict[str, torch.Tensor]:
    """Pad (source, target) token ids to a batch.

    Returns:
        ``input_ids`` and ``attention_mask`` (batch, source_len) int64; ``labels`` (batch, target_len) int64, -100 where
        no loss is taken.
    """
    sources, targets = zip(*pairs, strict=True)
    return {**pad_ids(sources, pad=tokenizer.pad_token_id), "labels": pad_labels(targets)}


T5 = Recipe(
    special=SpecialTokens(
        roles={"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"},
        others=SENTINELS,
        single="$A </s>",
        pair="$A </s> $B </s>",
    ),
    max_length=MAX_LENGTH,
    make_model=make_model,
    objectives=(span_batch, copy_batch),
    steps=5_500,
    learning_rate=2e-3,
    warmup=300,
    dropout={"dropout_rate": 0.05},
)
