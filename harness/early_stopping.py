"""Early stopping: some training rows are held out, and the weights of the epoch that did best on them are kept."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import TrainerCallback

from harness import processes
from harness.errors import SettingsError
from harness.tasks.task import IGNORE_INDEX, Batch, Collator, Features

LOSSES_FILE, BEST_FILE = "held_out.json", "best.safetensors"


def hold_out(
    features: Sequence[Features], groups: Sequence[int], *, share: float, seed: int
) -> tuple[list[Features], list[Features]]:
    """Part training examples into those that train and those that are held out.

    Args:
        features: the examples.
        groups: for each example the row it was made of; the examples of one row stay together.
        share: of the rows to hold out; at least one is.
        seed: draws them.

    Raises:
        SettingsError: no row would be left to train on.
    """
    rows = sorted(set(groups))
    count = max(1, round(share * len(rows)))
    if count >= len(rows):
        raise SettingsError(
            f"Early stopping holds out {count} of {len(rows)} training rows, and nothing is left to train on.",
            fix="Lower training.held_out, add rows, or leave training.patience out.",
        )
    held = set(random.Random(seed).sample(rows, count))
    parts: tuple[list[Features], list[Features]] = ([], [])
    for example, row in zip(features, groups, strict=True):
        parts[row in held].append(example)
    return parts


class EarlyStopping(TrainerCallback):  # type: ignore[misc]  # the base class is untyped
    """Measures the loss of the held-out rows behind each epoch, and stops when it falls no more.

    Args:
        features: the held-out examples.
        collator: pads them to a batch.
        loss: takes the place of the model's own loss, as in training.
        patience: how many epochs in a row may fail to bring a new best.
        batch_size: examples in a batch.

    Source: Prechelt 1998, "Early Stopping - But When?", the criterion UP with strips of one epoch.
    """

    def __init__(
        self,
        features: Sequence[Features],
        collator: Collator,
        loss: Callable[[Any, torch.Tensor, Any], torch.Tensor] | None,
        *,
        patience: int,
        batch_size: int,
    ) -> None:
        self.losses: list[float] = []
        self._batches = [features[start : start + batch_size] for start in range(0, len(features), batch_size)]
        self._collator = collator
        self._loss = loss
        self._patience = patience
        self._best: dict[str, torch.Tensor] = {}

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Measure, remember the weights if they are the best so far, and stop if that is too long ago."""
        model = kwargs["model"]
        # All processes must come to the same end, also where they do not round alike.
        self.losses.append(processes.by_first(lambda: self._measure(model)))
        best = min(range(len(self.losses)), key=self.losses.__getitem__)
        if best == len(self.losses) - 1:
            self._best = {name: weight.detach().cpu().clone() for name, weight in list_moving(model).items()}
        if len(self.losses) - 1 - best >= self._patience:
            control.should_training_stop = True

    def restore(self, model: torch.nn.Module) -> None:
        """Give the model the weights of its best epoch."""
        with torch.no_grad():
            for name, weight in list_moving(model).items():
                weight.copy_(self._best[name])

    def write(self, place: Path) -> None:
        """Write the losses so far and the best weights."""
        (place / LOSSES_FILE).write_text(json.dumps(self.losses) + "\n", encoding="utf-8")
        save_file({name: weight.contiguous() for name, weight in self._best.items()}, place / BEST_FILE)

    def read(self, place: Path) -> None:
        """Read what `write` wrote."""
        self.losses = json.loads((place / LOSSES_FILE).read_text(encoding="utf-8"))
        self._best = load_file(place / BEST_FILE)

    def _measure(self, model: torch.nn.Module) -> float:
        """The mean over all labels of the held-out rows, in nats; not a mean of batches."""
        device = next(model.parameters()).device
        total = count = 0.0
        was_training = model.training
        model.eval()
        try:
            with torch.no_grad():
                for examples in self._batches:
                    batch = {name: value.to(device) for name, value in self._collator([*map(dict, examples)]).items()}
                    labels = count_labels(batch)
                    total += self._measure_batch(model, batch) * labels
                    count += labels
        finally:
            model.train(was_training)
        mean = total / count
        return mean if math.isfinite(mean) else math.inf

    def _measure_batch(self, model: torch.nn.Module, batch: Batch) -> float:
        if self._loss is None:
            return float(model(**batch)["loss"])
        labels = batch.pop("labels")
        return float(self._loss(model(**batch), labels, None))


def count_labels(batch: Batch) -> int:
    """How many labels a batch has; of examples that have none by this name, how many examples."""
    if "labels" in batch:
        return int((batch["labels"] != IGNORE_INDEX).sum())
    return len(next(iter(batch.values())))


def list_moving(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Whatever training may change: weights that are not frozen, and buffers, as running means."""
    weights = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
    return {**weights, **dict(model.named_buffers())}
