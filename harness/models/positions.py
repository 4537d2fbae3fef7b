"""How many tokens a model can read at once."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

TABLES = ("position_embeddings", "embed_positions")
"""What transformers calls a model's table of positions."""


def count_positions(model: PreTrainedModel) -> int | None:
    """How many positions a model has; nothing where it has no table of them, so that any length will do.

    RoBERTa and its kin count from the place behind their padding index, so that they read two tokens less than
    ``max_position_embeddings`` says.
    """
    for name, module in model.named_modules():
        if name.endswith(TABLES) and isinstance(module, torch.nn.Embedding):
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    return None
