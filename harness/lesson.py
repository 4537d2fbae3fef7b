"""What there is to learn, and what came of it; knowing them loads no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.progress import NOTHING, Progress
from harness.tasks.task import Collator, Features

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Loss = Callable[[Any, Any, Any], Any]
"""From a model's output, the labels and the number of items in the batch to a scalar, as `Trainer` calls it."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What there is to learn.

    Args:
        tokenizer: made the token ids.
        features: the training examples, unpadded.
        collator: pads examples to a batch with -100 where no loss is taken.
        loss: takes the place of the model's own loss.
        smooths: whether ``loss`` smooths the labels itself, as the settings of the training say.
        groups: for each example the row it was made of; by default each is a row of its own.
        ordered: whether the examples stand in the order in which they are to be seen, and are not shuffled.
        progress: where a training keeps what it has done, so that it goes on from there after a kill.
    """

    tokenizer: PreTrainedTokenizerBase
    features: Sequence[Features]
    collator: Collator
    loss: Loss | None = None
    smooths: bool = False
    groups: Sequence[int] | None = None
    ordered: bool = False
    progress: Progress = NOTHING


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A tuned model and how it came about.

    Args:
        model: the tuned model, in eval mode, on the CPU.
        losses: the training loss of each step, in nats per token or row.
        trainable_parameters: how many weights were allowed to move.
        held_out_losses: with early stopping, the loss of the held-out rows behind each epoch; the weights are those of
            the epoch with the lowest.
    """

    model: PreTrainedModel
    losses: tuple[float, ...]
    trainable_parameters: int
    held_out_losses: tuple[float, ...] = ()
