"""Fine-tuning on a copy: the model that is handed in is never changed."""

from __future__ import annotations

import copy
import math
import os
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    ProgressCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)
from transformers.utils import logging as transformers_logging

from harness import processes
from harness.atomic import failed_to_write, unwritable
from harness.checkpoints import Checkpoints, recall_trained
from harness.config import TrainingSettings
from harness.device import choose_device
from harness.early_stopping import EarlyStopping, hold_out
from harness.errors import NonFiniteLossError, SettingsError
from harness.lesson import Lesson, Loss, Trained
from harness.losses import TokenLoss
from harness.parallel import ParallelTrainer, make_whole, require_shardable
from harness.steps import WholeStepTrainer
from harness.tasks.task import Features

PRECISION = "ACCELERATE_MIXED_PRECISION"


def fine_tune(model: PreTrainedModel, lesson: Lesson, settings: TrainingSettings) -> Trained:
    """Train a copy of ``model`` on a lesson with `Trainer`.

    The same seed gives bit-identical weights on the same machine, also where a training that was killed goes on from
    what the lesson's progress has kept. The global random states are left as they were.

    Args:
        model: the base; it is copied, and stays as it is.
        lesson: what there is to learn.
        settings: learning rate, epochs and so on.

    Raises:
        SettingsError: the model cannot be trained so.
        NonFiniteLossError: the loss became infinite or not a number.
    """
    processes.join()
    loss = choose_loss(model, lesson, settings)
    require_able(model, settings)
    progress = lesson.progress.begin("training")
    with own_randomness(settings.seed), own_precision(settings.precision), progress.scratch() as folder:
        tuned = copy.deepcopy(model)
        if settings.sharding == "full":
            # What is shared must stand in one module: FSDP divides module by module.
            tuned.set_input_embeddings(tuned.get_input_embeddings())
        recorder = _LossRecorder()
        examples, stopper = _part_held_out(lesson, loss, settings)
        checkpoints = Checkpoints(progress, stopper)
        trainer = _choose_trainer(ordered=lesson.ordered)(
            model=tuned,
            args=_trainer_arguments(settings, str(folder)),
            train_dataset=[dict(example) for example in examples],
            data_collator=lesson.collator,
            processing_class=lesson.tokenizer,
            compute_loss_func=loss,
            callbacks=[recorder, *([] if stopper is None else [stopper]), checkpoints],
        )
        _keep_standard_output_clean(trainer)

        def train() -> Trained:
            if (start := checkpoints.find()) is not None:
                checkpoints.restore(start)
            with _no_bars():
                trainer.train(resume_from_checkpoint=None if start is None else str(start))
            whole = make_whole(copy.deepcopy(model), tuned) if settings.sharding == "full" else tuned
            _take_off_precision(trainer, whole)
            if settings.gradient_checkpointing:
                whole.gradient_checkpointing_disable()
            if stopper is not None:
                stopper.restore(whole)
            return Trained(
                model=whole.cpu().eval(),
                losses=tuple(recorder.losses),
                trainable_parameters=sum(each.numel() for each in whole.parameters() if each.requires_grad),
                held_out_losses=() if stopper is None else tuple(stopper.losses),
            )

        return recall_trained(progress, tuned, train)


def _choose_trainer(*, ordered: bool) -> Callable[..., Trainer]:
    if processes.count() > 1:
        return partial(ParallelTrainer, ordered=ordered)
    return _InOrder if ordered else _Trainer


def choose_loss(model: PreTrainedModel, lesson: Lesson, settings: TrainingSettings) -> Loss | None:
    """The loss to train with; nothing where the model's own will do.

    Raises:
        SettingsError: labels are to be smoothed, and the loss cannot do that.
    """
    if lesson.loss is None and model.can_generate() and (settings.label_smoothing or settings.accumulation > 1):
        return TokenLoss(shift=not model.config.is_encoder_decoder, smoothing=settings.label_smoothing)
    if settings.label_smoothing and not lesson.smooths:
        raise SettingsError(
            f"training.label_smoothing is {settings.label_smoothing:g}, and the loss of {type(model).__name__} knows "
            "no smoothing.",
            why="It takes a share of each label's probability for the others, and this loss, as that of a conditional "
            "random field or of a span, has none to take it from.",
            fix="Set training.label_smoothing to 0.",
        )
    return lesson.loss


def require_able(model: PreTrainedModel, settings: TrainingSettings) -> None:
    """Make sure that model and device can do what is asked.

    Raises:
        SettingsError: they cannot.
    """
    if settings.gradient_checkpointing and not model.supports_gradient_checkpointing:
        raise SettingsError(
            f"training.gradient_checkpointing is on, and {type(model).__name__} cannot do it.",
            fix="Leave it out; to save memory, halve training.batch_size and double training.accumulation.",
        )
    if settings.batch_size % processes.count():
        raise SettingsError(
            f"training.batch_size is {settings.batch_size}, and {processes.count()} processes share each batch.",
            why="Some would have fewer rows than others, and wait for them in every step.",
            fix=f"Set training.batch_size to a multiple of {processes.count()}, or start as many processes as divide "
            "it.",
        )
    if settings.sharding == "full":
        require_shardable()
    if settings.precision == "bfloat16" and torch.cuda.is_available() and not torch.cuda.is_bf16_supported():
        raise SettingsError(
            f"training.precision is bfloat16, and {torch.cuda.get_device_name()} cannot do it.",
            fix='Set training.precision to "float32".',
        )


def _part_held_out(
    lesson: Lesson, loss: Loss | None, settings: TrainingSettings
) -> tuple[Sequence[Features], EarlyStopping | None]:
    """The examples to train on, and what watches the others; all train where there is no early stopping."""
    if settings.patience is None:
        return lesson.features, None
    groups = range(len(lesson.features)) if lesson.groups is None else lesson.groups
    examples, held = hold_out(lesson.features, groups, share=settings.held_out, seed=settings.seed)
    return examples, EarlyStopping(
        held, lesson.collator, loss, patience=settings.patience, batch_size=settings.batch_size
    )


def _take_off_precision(trainer: Trainer, model: PreTrainedModel) -> None:
    """Take off what casts the forward pass to the precision of training, and would go on doing so in evaluation."""
    trainer.accelerator.unwrap_model(model, keep_fp32_wrapper=False)
    model.__dict__.pop("forward", None)


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
        gradient_accumulation_steps=settings.accumulation,
        bf16=settings.precision == "bfloat16",
        **_checkpointing_arguments(settings),
        **({"fsdp": True, "fsdp_config": {"version": 2}} if settings.sharding == "full" else {}),
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


def _checkpointing_arguments(settings: TrainingSettings) -> dict[str, Any]:
    """Gradient checkpointing by the name that this version of transformers has for it; nothing where it is off."""
    if not settings.gradient_checkpointing:
        return {}
    known = {field.name for field in fields(TrainingArguments)}
    name = "activation_checkpointing" if "activation_checkpointing" in known else "gradient_checkpointing"
    return {name: True, f"{name}_kwargs": {"use_reentrant": False}}


class _Trainer(WholeStepTrainer):
    """Says in our words that a checkpoint cannot be written."""

    def _save_checkpoint(self, *args: Any, **kwargs: Any) -> None:
        try:
            super()._save_checkpoint(*args, **kwargs)
        except Exception as error:
            if not failed_to_write(error):
                raise
            raise unwritable(Path(self.args.output_dir).parent, error) from error


class _InOrder(_Trainer):
    """Takes the examples as they come."""

    def get_train_dataloader(self) -> Any:
        """Batches in the order of the examples."""
        loader = torch.utils.data.DataLoader(
            self.train_dataset,
            batch_size=self.args.per_device_train_batch_size,
            collate_fn=self.data_collator,
            pin_memory=self.args.dataloader_pin_memory,
        )
        return self.accelerator.prepare(loader)


class _LossRecorder(TrainerCallback):  # type: ignore[misc]  # the base class is untyped
    """Keeps the loss of each step, and stops at the first that is not finite."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.losses = [entry["loss"] for entry in state.log_history if "loss" in entry]

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
def _no_bars() -> Iterator[None]:
    """Without the bar that transformers shows for each checkpoint; that of the training is not one of those."""
    shown = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            transformers_logging.enable_progress_bar()


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


@contextmanager
def own_precision(precision: str) -> Iterator[None]:
    """In the block, accelerate takes this precision from the environment, where it looks first.

    Otherwise one that stands there already would win, and transformers 4 leaves there that of the training before.
    """
    before = os.environ.get(PRECISION)
    os.environ[PRECISION] = "bf16" if precision == "bfloat16" else "no"
    try:
        yield
    finally:
        os.environ.pop(PRECISION)
        if before is not None:
            os.environ[PRECISION] = before
