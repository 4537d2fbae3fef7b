"""A training loop as a class, as many users write theirs: what differs between projects is a method to override."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from harness.defects.reference import loop
from harness.defects.reference.rows import Row

Windows = list[list[list[int]]]
"""The rows of each optimizer step, as a list of batches."""


@dataclass(kw_only=True)
class Trained:
    """What a training gives: the model that is delivered, and the score that it was chosen for."""

    model: torch.nn.Module
    best_score: float | None = None


def choose_lowest(history: Sequence[Mapping[str, float]]) -> int:
    """The evaluation with the lowest score, for it is a loss."""
    return min(range(len(history)), key=lambda place: history[place]["score"])


@dataclass(kw_only=True)
class Trainer:
    """AdamW, a linear schedule, accumulation by tokens, checkpoints; with rows to score, the best epoch is delivered.

    Args:
        encode: rows to features.
        collate: features to a batch.
        score: ``(model, rows) -> float`` of an epoch.
        choose: which of the scores is the best.
        options: rates and so on.
    """

    encode: Callable[..., Any]
    collate: Callable[..., loop.Batch]
    score: Callable[..., float]
    choose: Callable[..., int] = choose_lowest
    options: loop.Options = field(default_factory=loop.Options)

    def __call__(
        self,
        model: torch.nn.Module,
        rows: Sequence[Row],
        folder: Path | None = None,
        *,
        seed: int = 0,
        epochs: int = 4,
        batch_size: int = 8,
        accumulation: int = 1,
        eval_rows: Sequence[Row] | None = None,
        resume: bool = False,
    ) -> Trained:
        """Train a copy of a model on rows."""
        features = self.encode(rows)
        tuned = self.prepare(model)
        windows = self.draw_windows(len(features), seed, epochs, batch_size, accumulation)
        optimizer = self.make_optimizer(tuned)
        schedule = loop.linear_schedule(optimizer, self.options.warmup_steps, len(windows))
        history: list[dict[str, float]] = []
        best: dict[str, torch.Tensor] = {}
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            done = loop.read_checkpoint(folder, tuned, optimizer, schedule) if folder and resume else 0
            for step, window in enumerate(self.remaining(windows, done), start=done + 1):
                batches = [self.collate([features[index] for index in rows]) for rows in window]
                tuned.train()
                self.learn(tuned, batches, accumulation, schedule)
                optimizer.step()
                self.after_step(schedule)
                optimizer.zero_grad()
                if folder and step % self.options.save_every == 0:
                    loop.write_checkpoint(folder, tuned, optimizer, schedule, step)
                if eval_rows and step % math.ceil(len(windows) / epochs) == 0:
                    history.append({"score": self.score(tuned, eval_rows)})
                    if self.choose(history) == len(history) - 1:
                        best = copy.deepcopy(tuned.state_dict())
        return self.deliver(tuned.eval(), history, best)

    def prepare(self, model: torch.nn.Module) -> torch.nn.Module:
        """The model that is trained: a copy, so that the base stays what it is."""
        return copy.deepcopy(model)

    def draw_windows(self, rows: int, seed: int, epochs: int, batch_size: int, accumulation: int) -> Windows:
        """Every epoch has each row once."""
        return list(loop.draw_windows(rows, seed, epochs, batch_size, accumulation))

    def make_optimizer(self, model: torch.nn.Module) -> torch.optim.Optimizer:
        """AdamW, with decay for matrices only."""
        decay = self.options.weight_decay
        return torch.optim.AdamW(loop.decay_groups(model, decay), lr=self.options.learning_rate, weight_decay=decay)

    def remaining(self, windows: Windows, done: int) -> Windows:
        """What is left to learn after so many steps."""
        return windows[done:]

    def learn(self, model: torch.nn.Module, batches: Sequence[loop.Batch], accumulation: int, schedule: Any) -> None:
        """Add up the gradient of one optimizer step."""
        for batch in batches:
            torch.autograd.backward(loop.model_loss(model, batch) * self.weigh(batch, batches, accumulation))

    def weigh(self, batch: loop.Batch, batches: Sequence[loop.Batch], accumulation: int) -> float:
        """The share of a batch's mean loss in that of its optimizer step: as many tokens as it has."""
        return loop.count_supervised(batch) / sum(map(loop.count_supervised, batches))

    def after_step(self, schedule: Any) -> None:
        """The rate falls once an optimizer step."""
        schedule.step()

    def deliver(self, model: Any, history: Sequence[Mapping[str, float]], best: Mapping[str, Any]) -> Trained:
        """The best epoch where epochs were scored, else the last."""
        if not history:
            return Trained(model=model)
        model.load_state_dict(best)
        return Trained(model=model, best_score=history[self.choose(history)]["score"])
