"""The tiny Llama learns to write documents and, in turns with that, to say a sentence again."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from harness.data.newsroom.draw import Draw
from harness.models.recipes.batches import IGNORE_INDEX, pad_ids, pad_labels, split_sentences
from harness.models.recipes.recipe import Recipe
from harness.models.tokenizer_recipe import SpecialTokens

MAX_LENGTH = 1024
DOCUMENTS = 8
"""Documents in a batch of language modelling."""
COPY_ROWS = 8
"""Rows in a batch of copying."""
COPIES = 4
"""Sentences in each of them."""


def make_model(tokenizer: PreTrainedTokenizerBase) -> LlamaForCausalLM:
    """A new model of 1.3 M parameters.

    The rotary settings are the defaults (theta 10,000), for transformers 4 and 5 write them under different names.
    """
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        num_hidden_layers=5,
        num_attention_heads=4,
        intermediate_size=384,
        max_position_embeddings=MAX_LENGTH,
        initializer_range=0.05,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config)


def next_token_batch(texts: Iterator[str], tokenizer: PreTrainedTokenizerBase, draw: Draw) -> dict[str, torch.Tensor]:
    """Documents to write, as `pad_rows` returns them."""
    documents = list(itertools.islice(texts, DOCUMENTS))
    encoded = tokenizer(documents, truncation=True, max_length=MAX_LENGTH - 1)["input_ids"]
    # The tokenizer puts no EOS, for a prompt goes on; a document is over.
    rows = [[*ids, tokenizer.eos_token_id] for ids in encoded]
    return pad_rows([(ids, ids) for ids in rows], tokenizer)


def copy_batch(texts: Iterator[str], tokenizer: PreTrainedTokenizerBase, draw: Draw) -> dict[str, torch.Tensor]:
    """Sentences to say again after a line break, several in a row, as `pad_rows` returns them."""
    sentences = [draw.pick(split_sentences(next(texts))) for _ in range(COPY_ROWS * COPIES)]
    prompts = tokenizer([f"{sentence}\n" for sentence in sentences])["input_ids"]
    again = tokenizer(sentences, add_special_tokens=False)["input_ids"]
    rows: list[tuple[list[int], list[int]]] = [([], []) for _ in range(COPY_ROWS)]
    for number, (prompt, copy) in enumerate(zip(prompts, again, strict=True)):
        ids, labels = rows[number % COPY_ROWS]
        ids += [*prompt, *copy, tokenizer.eos_token_id]
        # Loss is taken of the copy alone, as fine-tuning takes it of a completion.
        labels += [*(IGNORE_INDEX for _ in prompt), *copy, tokenizer.eos_token_id]
    return pad_rows(rows, tokenizer)


def pad_rows(
    rows: Sequence[tuple[list[int], list[int]]], tokenizer: PreTrainedTokenizerBase
) -> dict[str, torch.Tensor]:
    """Pad (ids, labels) to a batch; the model shifts the labels.

    Returns:
        ``input_ids``, ``attention_mask`` and ``labels`` (batch, length) int64; -100 where no loss is taken.
    """
    ids, labels = zip(*rows, strict=True)
    return {**pad_ids(ids, pad=tokenizer.pad_token_id), "labels": pad_labels(labels)}


LLAMA = Recipe(
    special=SpecialTokens(
        roles={"pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>", "bos_token": "<s>"},
        single="<s> $A",
        pair="<s> $A $B",
        input_names=("input_ids", "attention_mask"),
        padding_side="left",
    ),
    max_length=MAX_LENGTH,
    make_model=make_model,
    objectives=(next_token_batch, copy_batch),
    steps=3_600,
    learning_rate=2e-3,
    warmup=300,
    dropout={"attention_dropout": 0.05},
)
