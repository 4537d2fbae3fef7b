"""How many tokens a model can read at once."""

from __future__ import annotations

from torch import nn
from transformers import PreTrainedModel

from harness.errors import ModelError


def count_positions(model: PreTrainedModel) -> int | None:
    """The most tokens that the learned positions of a model are enough for; none where positions are computed.

    RoBERTa and its like begin to count behind the padding index.
    """
    for name, module in model.named_modules():
        if name.endswith(("position_embeddings", "embed_positions")) and isinstance(module, nn.Embedding):
            taken = 0 if module.padding_idx is None else module.padding_idx + 1
            return module.num_embeddings - taken
    return None


def require_positions(model: PreTrainedModel, longest: int, *, name: str) -> None:
    """Make sure that the model has a position for each token of the longest row.

    Raises:
        ModelError: it has not.
    """
    positions = count_positions(model)
    if positions is not None and longest > positions:
        raise ModelError(
            f'A row has {longest} tokens, and "{name}" reads at most {positions}.',
            why="It has no positions for more.",
            fix=f"Set encoding.max_input_tokens = {positions}.",
        )
