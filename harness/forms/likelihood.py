"""How likely a model finds the targets: the sum over each row's supervised tokens, never a mean of batch means."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from harness.device import at_work
from harness.generation.batching import sorted_batches
from harness.tasks.task import IGNORE_INDEX, Collator, EncodedRow


def measure_likelihood(
    model: PreTrainedModel, rows: Sequence[EncodedRow], collator: Collator, *, batch_size: int
) -> list[tuple[float, int]]:
    """For each row the negative log-likelihood of its supervised tokens in nats, and how many they are.

    Args:
        model: an encoder-decoder, whose logits stand at the token they predict, or a causal model, whose logits stand
            one place before it. It works on the GPU where there is one, and comes back to where it was.
        rows: encoded rows, unpadded, with ``labels`` that are -100 where no loss is taken.
        collator: pads them to a batch.
        batch_size: rows in a batch.
    """
    measured = [(0.0, 0)] * len(rows)
    with at_work(model):
        for indices in sorted_batches([len(row.features[0]["input_ids"]) for row in rows], batch_size):
            batch = {
                name: torch.as_tensor(values).to(model.device)
                for name, values in collator([dict(rows[index].features[0]) for index in indices]).items()
            }
            labels = batch["labels"]
            if not model.config.is_encoder_decoder:
                # The ids say it all, and the model's own loss is not asked for.
                del batch["labels"]
            logits = model(**batch).logits
            # A soft prompt stands before the text, and has logits but no labels.
            logits = logits[:, -labels.shape[1] :]
            if not model.config.is_encoder_decoder:
                logits, labels = logits[:, :-1], labels[:, 1:]
            nats = torch.nn.functional.cross_entropy(
                logits.transpose(1, 2).float(), labels, ignore_index=IGNORE_INDEX, reduction="none"
            )
            counts = (labels != IGNORE_INDEX).sum(1)
            for index, total, count in zip(indices, nats.sum(1).tolist(), counts.tolist(), strict=True):
                measured[index] = (total, count)
    return measured
