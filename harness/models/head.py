"""A new head on a pretrained body: which labels it has, and the random numbers it starts from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

DEVIATION = 0.02
"""The standard deviation of new weights, as BERT's own (Devlin et al. 2019)."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """What a head must be like.

    Args:
        labels: the names of the classes in the order of their ids; nothing for a head without classes.
        seed: draws the weights of a new head.
    """

    labels: tuple[str, ...] = ()
    seed: int = 0


def draw_head(model: PreTrainedModel, names: Sequence[str], seed: int) -> int:
    """Draw the named weights anew, and return how many numbers that were.

    transformers draws them as well, but differently in version 4 and 5, so a stored base would not be found again.

    Args:
        model: changed in place.
        names: of parameters: matrices become normal numbers, biases zero, and the scales of norms one.
        seed: names the random numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name in sorted(names):
            weight = parameters[name]
            if weight.ndim > 1:
                weight.copy_(torch.randn(weight.shape, generator=generator) * DEVIATION)
            else:
                weight.fill_(1.0 if name.endswith("weight") else 0.0)
    return sum(parameters[name].numel() for name in names)
