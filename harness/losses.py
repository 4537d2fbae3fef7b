"""The loss of text, where the model's own will not do: it knows no smoothing, and averages each batch by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from harness.tasks.task import IGNORE_INDEX


@dataclass(frozen=True, kw_only=True)
class TokenLoss:
    """Cross-entropy summed over the supervised tokens and divided by their number in the whole optimizer step.

    So a step is the same however its rows are divided into batches. The models of transformers give a mean over each
    batch; T5 does so even where it is told the number of items, and a sum of such means grows with the batches.

    Args:
        shift: whether logits stand one place before the token they predict, as in a causal model.
        smoothing: the share of each target's probability that is spread evenly over all tokens.

    Source of the smoothing: Szegedy et al. 2016, "Rethinking the Inception Architecture for Computer Vision", section
    7.
    """

    shift: bool
    smoothing: float = 0.0

    def __call__(self, outputs: Any, labels: torch.Tensor, num_items_in_batch: Any = None) -> torch.Tensor:
        """The loss in nats per token.

        Args:
            outputs: has ``logits``, (batch, length, tokens).
            labels: (batch, length) int64, -100 where no loss is taken.
            num_items_in_batch: supervised tokens of the whole step; by default those of this batch.
        """
        logits = outputs["logits"].float()
        if self.shift:
            logits, labels = logits[:, :-1], labels[:, 1:]
        nats = torch.nn.functional.cross_entropy(
            logits.transpose(1, 2), labels, ignore_index=IGNORE_INDEX, label_smoothing=self.smoothing, reduction="sum"
        )
        return nats / ((labels != IGNORE_INDEX).sum() if num_items_in_batch is None else num_items_in_batch)
