"""The training loop of the clean pipelines, by hand: AdamW, a linear schedule, accumulation by tokens, checkpoints."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

Batch = Mapping[str, torch.Tensor]
Loss = Callable[[torch.nn.Module, Batch], torch.Tensor]

IGNORE_INDEX = -100
CHECKPOINTS = 5
"""How many a long run writes."""


@dataclass(frozen=True, kw_only=True)
class Options:
    """How to train."""

    learning_rate: float = 5e-3
    weight_decay: float = 0.01
    warmup_steps: int = 0
    save_every: int = 2
    """Optimizer steps between two checkpoints, at least, where a folder is given."""


def model_loss(model: torch.nn.Module, batch: Batch) -> torch.Tensor:
    """The loss that the model computes from its labels: the mean over supervised tokens."""
    loss: torch.Tensor = model(**batch).loss
    return loss


def count_supervised(batch: Batch) -> int:
    """How many labels the loss of a batch is a mean over."""
    return int((batch["labels"] != IGNORE_INDEX).sum())


def train(
    model: torch.nn.Module,
    features: Sequence[Mapping[str, Any]],
    collate: Callable[..., Batch],
    *,
    options: Options | None = None,
    loss: Loss = model_loss,
    seed: int = 0,
    epochs: int = 4,
    batch_size: int = 8,
    accumulation: int = 1,
    folder: Path | None = None,
    resume: bool = False,
) -> torch.nn.Module:
    """Train a copy of a model.

    The gradient of an optimizer step is that of the mean over all tokens of its batches, however they are divided.

    Returns:
        The copy, in eval mode.
    """
    options = options or Options()
    tuned = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(
        decay_groups(tuned, options.weight_decay), lr=options.learning_rate, weight_decay=options.weight_decay
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        windows = list(draw_windows(len(features), seed, epochs, batch_size, accumulation))
        schedule = linear_schedule(optimizer, options.warmup_steps, len(windows))
        done = read_checkpoint(folder, tuned, optimizer, schedule) if folder and resume else 0
        tuned.train()
        every = max(options.save_every, len(windows) // CHECKPOINTS)
        for step, window in enumerate(windows[done:], start=done + 1):
            batches = [collate([features[index] for index in rows]) for rows in window]
            tokens = sum(map(count_supervised, batches))
            for batch in batches:
                (loss(tuned, batch) * count_supervised(batch) / tokens).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            if folder and step % every == 0:
                write_checkpoint(folder, tuned, optimizer, schedule, step)
    return tuned.eval()


def decay_groups(model: torch.nn.Module, weight_decay: float) -> list[dict[str, Any]]:
    """Matrices decay; norms, biases and other vectors do not."""
    moving = [entry for entry in model.parameters() if entry.requires_grad]
    return [
        {"params": [entry for entry in moving if entry.ndim > 1], "weight_decay": weight_decay},
        {"params": [entry for entry in moving if entry.ndim <= 1], "weight_decay": 0.0},
    ]


def draw_windows(rows: int, seed: int, epochs: int, batch_size: int, accumulation: int) -> Iterator[list[list[int]]]:
    """The rows of each optimizer step, as a list of batches; every epoch has each row once, in an order of its own."""
    for epoch in range(epochs):
        order = list(range(rows))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        batches = [order[start : start + batch_size] for start in range(0, rows, batch_size)]
        yield from (batches[start : start + accumulation] for start in range(0, len(batches), accumulation))


def linear_schedule(optimizer: torch.optim.Optimizer, warmup: int, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    """Up from 0 over the warm-up, then down to 0 at the last step."""

    def factor(step: int) -> float:
        return step / warmup if step < warmup else max(0, steps - step) / max(1, steps - warmup)

    return torch.optim.lr_scheduler.LambdaLR(optimizer, factor)


def write_checkpoint(folder: Path, model: torch.nn.Module, optimizer: Any, schedule: Any, step: int) -> None:
    """Write all that a run needs to go on from this step."""
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "schedule": schedule.state_dict(),
        "random": torch.get_rng_state(),
        "step": step,
    }
    torch.save(state, folder / "checkpoint.pt")


def read_checkpoint(folder: Path, model: torch.nn.Module, optimizer: Any, schedule: Any) -> int:
    """Put a run back to where its checkpoint was written; the number of steps that were done then."""
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    schedule.load_state_dict(state["schedule"])
    torch.set_rng_state(state["random"])
    return int(state["step"])
