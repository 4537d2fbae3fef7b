"""Fine-tuning on a copy: the model that is handed in is never changed."""

from __future__ import annotations

import copy
import math
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
)

from harness.config import TrainingSettings
from harness.errors import NonFiniteLossError
from harness.tasks.task import Collator, EncodedRow


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A tuned model and how it came about.

    Args:
        model: the tuned model, in eval mode, on the CPU.
        losses: the training loss of each step, in nats per token.
        trainable_parameters: how many weights were allowed to move.
    """

    model: PreTrainedModel
    losses: tuple[float, ...]
    trainable_parameters: int


def fine_tune(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[EncodedRow],
    collator: Collator,
    settings: TrainingSettings,
) -> Trained:
    """Train a copy of ``model`` on ``rows`` with `Seq2SeqTrainer`.

    The same seed gives bit-identical weights on the same machine. The global random states are left as they were.

    Args:
        model: the base; it is copied, and stays as it is.
        tokenizer: saved with nothing, but the trainer wants to know it.
        rows: encoded rows, unpadded.
        collator: pads rows to a batch with -100 where no loss is taken.
        settings: learning rate, epochs and so on.

    Raises:
        NonFiniteLossError: the loss became infinite or not a number.
    """
    with _own_randomness(settings.seed), tempfile.TemporaryDirectory(prefix="harness-") as folder:
        tuned = copy.deepcopy(model)
        recorder = _LossRecorder()
        trainer = Seq2SeqTrainer(
            model=tuned,
            args=_trainer_arguments(settings, folder),
            train_dataset=[row.features() for row in rows],
            data_collator=collator,
            processing_class=tokenizer,
            callbacks=[recorder],
        )
        if not sys.stderr.isatty():
            _remove_printer(trainer)
        trainer.train()
    return Trained(
        model=tuned.cpu().eval(),
        losses=tuple(recorder.losses),
        trainable_parameters=sum(weight.numel() for weight in tuned.parameters() if weight.requires_grad),
    )


def _trainer_arguments(settings: TrainingSettings, folder: str) -> Seq2SeqTrainingArguments:
    return Seq2SeqTrainingArguments(
        output_dir=folder,
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        warmup_steps=settings.warmup_steps,
        lr_scheduler_type=settings.schedule,
        max_grad_norm=settings.max_gradient_norm,
        optim="adamw_torch",
        seed=settings.seed,
        data_seed=settings.seed,
        logging_strategy="steps",
        logging_steps=1,
        # The trainer would put the running mean in place of a NaN and so hide it.
        logging_nan_inf_filter=False,
        save_strategy="no",
        report_to="none",
        disable_tqdm=not sys.stderr.isatty(),
        remove_unused_columns=False,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


class _LossRecorder(TrainerCallback):  # type: ignore[misc]  # the base class is untyped
    """Keeps the loss of each step, and stops at the first that is not finite."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        loss = (logs or {}).get("loss")
        if loss is None:
            return
        if not math.isfinite(loss):
            recent = ", ".join(f"{value:.3g}" for value in self.losses[-3:]) or "none"
            raise NonFiniteLossError(
                f"The loss is {loss} at step {state.global_step} of {state.max_steps} (losses before: {recent}; "
                f"learning rate {args.learning_rate:g}).",
                why="From here on the weights are worthless.",
                fix="Lower training.learning_rate, or look for rows without labels.",
            )
        self.losses.append(float(loss))


def _remove_printer(trainer: Seq2SeqTrainer) -> None:
    """Without a progress bar the trainer prints every logged loss; the losses are recorded, so it need not."""
    trainer.remove_callback(PrinterCallback)


@contextmanager
def _own_randomness(seed: int) -> Iterator[None]:
    """Seed the global generators for the time of the block, and put them back as they were."""
    # The trainer and its libraries draw from the old global generator of numpy, so that is the one to keep.
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    devices = list(range(torch.cuda.device_count()))
    with torch.random.fork_rng(devices=devices):
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002
