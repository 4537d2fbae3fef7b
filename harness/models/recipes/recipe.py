"""What tells one tiny checkpoint's recipe from another's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.data.newsroom.draw import Draw
from harness.models.tokenizer_recipe import SpecialTokens

MakeBatch = Callable[[Iterator[str], PreTrainedTokenizerBase, Draw], dict[str, torch.Tensor]]
"""Takes documents from a stream and makes what the model's ``forward`` takes of them."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A shape, its tokenizer and what it learns from documents.

    Args:
        special: the tokenizer's special tokens.
        max_length: the longest input, in tokens.
        make_model: a new model for the tokenizer, without dropout; its weights are drawn from torch's generator.
        objectives: makers of batches, which take turns step by step.
        steps: training steps.
        learning_rate: the highest one, after the warm-up.
        warmup: steps until it is reached.
        dropout: settings of the saved config: fine-tuning uses a little dropout; pre-training on endless fresh text
            needs none.
    """

    special: SpecialTokens
    max_length: int
    make_model: Callable[[PreTrainedTokenizerBase], PreTrainedModel]
    objectives: tuple[MakeBatch, ...]
    steps: int
    learning_rate: float
    warmup: int
    dropout: Mapping[str, float]
