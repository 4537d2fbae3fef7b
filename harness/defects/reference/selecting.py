"""A clean decoder-only pipeline: it delivers its best epoch, packs rows, evaluates on several ranks and adds tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.checks.pipeline import Pipeline
from harness.defects.reference import causal, loop, models, tokenizers
from harness.defects.reference.rows import Row
from harness.defects.reference.trainer import Trainer, choose_lowest


def make_pipeline(
    tokenizer: PreTrainedTokenizerBase, make_model: Callable[..., PreTrainedModel], *, name: str = "selecting"
) -> Pipeline:
    """The pipeline over a tokenizer and a maker of models, ``(tokenizer, seed) -> model``."""
    plain = causal.make_pipeline(tokenizer, make_model, name=name)
    assert plain.encode is not None  # noqa: S101 - the reference has all of these parts
    assert plain.collate is not None  # noqa: S101
    assert plain.evaluate_loss is not None  # noqa: S101
    trainer = Trainer(encode=plain.encode, collate=plain.collate, score=plain.evaluate_loss)
    return replace(
        plain,
        declared=replace(plain.declared, greater_is_better=False),
        train=trainer,
        resume=partial(trainer, resume=True),
        choose_checkpoint=choose_lowest,
        pack=pack_features,
        extend_vocabulary=extend_vocabulary,
        shard=shard_rows,
        evaluate=partial(evaluate_on_ranks, tokenizer),
    )


def pack_features(features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
    """Rows behind each other in one sequence: each counts its positions from 0 and sees itself alone.

    The mask is of shape (1, 1, length, length), 0 where a token may look and very negative elsewhere.
    """
    rows = torch.cat([torch.full((len(feature["input_ids"]),), place) for place, feature in enumerate(features)])
    seen = (rows[:, None] == rows[None, :]).tril()
    return {
        "input_ids": join(features, "input_ids"),
        "labels": join(features, "labels"),
        "position_ids": torch.cat([torch.arange(len(feature["input_ids"])) for feature in features])[None],
        "attention_mask": torch.zeros(seen.shape).masked_fill(~seen, torch.finfo(torch.float32).min)[None, None],
    }


def join(features: Sequence[Mapping[str, Any]], name: str) -> torch.Tensor:
    """A column of all features in one row; the first label of a feature has nothing before it to be told from."""
    ignored = [loop.IGNORE_INDEX] if name == "labels" else []
    return torch.tensor([[token for feature in features for token in [*ignored, *feature[name][len(ignored) :]]]])


def extend_vocabulary(model: PreTrainedModel, *, places: int = 8) -> PreTrainedModel:
    """Room for more tokens; those that were there keep their weights."""
    model.resize_token_embeddings(model.config.vocab_size + places, mean_resizing=False)
    return model


def shard_rows(rows: Sequence[Row], rank: int, world_size: int) -> list[Row]:
    """Every so many rows, so that each is in one shard."""
    return list(rows[rank::world_size])


def evaluate_on_ranks(
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    rows: Sequence[Row],
    *,
    batch_size: int = 8,
    ranks: int = 1,
) -> dict[str, float]:
    """ROUGE over what all ranks wrote, gathered before it is computed."""
    gathered = [row for rank in range(ranks) for row in shard_rows(rows, rank, ranks)]
    return causal.evaluate_rows(tokenizer, model, gathered, batch_size=batch_size)


PIPELINE = make_pipeline(tokenizers.causal_tokenizer(), models.make_llama)
