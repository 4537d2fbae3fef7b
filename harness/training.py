"""Fine-tuning on a copy: the model that is handed in is never changed."""

from __future__ import annotations

import copy
import math
import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from harness.config import TrainingSettings
from harness.device import choose_device
from harness.errors import NonFiniteLossError
from harness.tasks.task import Collator, Features

Loss = Callable[[Any, torch.Tensor, Any], torch.Tensor]
"""From the model's output, the labels and the number of items in the batch to a scalar, as `Trainer` calls it."""


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What there is to learn.

    Args:
        tokenizer: made the token ids.
        features: the training examples, unpadded.
        collator: pads examples to a batch with -100 where no loss is taken.
        loss: takes the place of the model's own loss.
    """

    tokenizer: PreTrainedTokenizerBase
    features: Sequence[Features]
    collator: Collator
    loss: Loss | None = None


@dataclass(frozen=True, kw_only=True)
class Trained:
    """A tuned model and how it came about.

    Args:
        model: the tuned model, in eval mode, on the CPU.
        losses: the training loss of each step, in nats per token or row.
        trainable_parameters: how many weights were allowed to move.
    """

    model: PreTrainedModel
    losses: tuple[float, ...]
    trainable_parameters: int


def fine_tune(model: PreTrainedModel, lesson: Lesson, settings: TrainingSettings) -> Trained:
    """Train a copy of ``model`` on a lesson with `Trainer`.

    The same seed gives bit-identical weights on the same machine. The global random states are left as they were.

    Args:
        model: the base; it is copied, and stays as it is.
        lesson: what there is to learn.
        settings: learning rate, epochs and so on.

    Raises:
        NonFiniteLossError: the loss became infinite or not a number.
    """
    with own_randomness(settings.seed), tempfile.TemporaryDirectory(prefix="harness-") as folder:
        tuned = copy.deepcopy(model)
        recorder = _LossRecorder()
        trainer = Trainer(
            model=tuned,
            args=_trainer_arguments(settings, folder),
            train_dataset=[dict(example) for example in lesson.features],
            data_collator=lesson.collator,
            processing_class=lesson.tokenizer,
            compute_loss_func=lesson.loss,
            callbacks=[recorder],
        )
        _keep_standard_output_clean(trainer)
        trainer.train()
    return Trained(
        model=tuned.cpu().eval(),
        losses=tuple(recorder.losses),
        trainable_parameters=sum(weight.numel() for weight in tuned.parameters() if weight.requires_grad),
    )


def _trainer_arguments(settings: TrainingSettings, folder: str) -> TrainingArguments:
    arguments = TrainingArguments(
        output_dir=folder,
        use_cpu=choose_device().type == "cpu",
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
    # With several GPUs in one process the trainer would split each batch, and take fewer and larger steps.
    arguments._n_gpu = min(arguments.n_gpu, 1)  # noqa: SLF001 - there is no public way
    return arguments


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


class _Bar(ProgressCallback):  # type: ignore[misc]  # the base class is untyped
    """The trainer's progress bar, without its habit of printing every logged loss to standard output."""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Print nothing: the losses are recorded."""


def _keep_standard_output_clean(trainer: Trainer) -> None:
    """The losses are recorded, so nothing but the bar is shown, and that on a terminal only."""
    trainer.remove_callback(PrinterCallback)
    trainer.remove_callback(ProgressCallback)
    if sys.stderr.isatty():
        trainer.add_callback(_Bar)


@contextmanager
def own_randomness(seed: int) -> Iterator[None]:
    """Seed the global generators and ask for repeatable kernels, and put all back as it was behind the block."""
    # The trainer and its libraries draw from the old global generator of numpy, so that is the one to keep.
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    # cuBLAS reads this when it starts; without it, its sums may differ between runs.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))):
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.manual_seed(seed)
        torch.use_deterministic_algorithms(mode=True, warn_only=True)
        try:
            yield
        finally:
            random.setstate(before[0])
            np.random.set_state(before[1])  # noqa: NPY002
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
