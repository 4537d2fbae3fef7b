"""Steps of several batches: each is the step that one large batch would be."""

from __future__ import annotations

from typing import Any

import torch
from transformers import PreTrainedTokenizerBase, Trainer

from harness.early_stopping import count_labels
from harness.tasks.task import Batch


class WholeStepTrainer(Trainer):  # type: ignore[misc]  # the base class is untyped
    """Weighs each batch's mean loss by its share of the step's labels, where the loss is the model's own.

    `Trainer` alone leaves that to every model that takes further arguments, and most make nothing of the number of
    labels: the means of the batches are added up, as by BERT's token head. Where a model takes none, the mean of the
    means is taken, whatever the batches hold.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._weighs = self.compute_loss_func is None and self.args.gradient_accumulation_steps > 1

    def get_batch_samples(self, *args: Any) -> tuple[list[Batch], Any]:
        """The batches of a step, and how many labels they have."""
        samples, items = super().get_batch_samples(*args)
        # A planned batch of several tasks has its weights already.
        if not self._weighs or "input_ids" not in samples[0]:
            return samples, items
        # From here on `Trainer` takes the loss for one that was divided by the labels of the step.
        self.model_accepts_loss_kwargs = True
        return pad_alike(samples, self.processing_class), sum(map(count_labels, samples))

    def compute_loss(
        self, model: Any, inputs: Batch, *args: Any, num_items_in_batch: Any = None, **options: Any
    ) -> Any:
        """The loss of a batch, as a part of the mean over the step."""
        if not self._weighs or num_items_in_batch is None:
            return super().compute_loss(model, inputs, *args, num_items_in_batch=num_items_in_batch, **options)
        count = count_labels(inputs)
        return super().compute_loss(model, inputs, *args, **options) * (count / num_items_in_batch)


def pad_alike(samples: list[Batch], tokenizer: PreTrainedTokenizerBase) -> list[Batch]:
    """Pad the batches of a step to one length, where the loss sees the padding.

    That of a span does: each place of a row is a possible answer, and so is each place of its padding.
    """
    if not samples or "start_positions" not in samples[0]:
        return samples
    longest = max(sample["input_ids"].shape[1] for sample in samples)
    fill = {"input_ids": tokenizer.pad_token_id, "token_type_ids": tokenizer.pad_token_type_id}
    return [
        {
            name: torch.nn.functional.pad(values, (0, longest - values.shape[1]), value=fill.get(name, 0))
            if values.ndim > 1
            else values
            for name, values in sample.items()
        }
        for sample in samples
    ]
