"""What the trainers share: which rows are dealt to a step, and the step itself."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from harness.data.newsroom.draw import Draw
from harness.errors import NonFiniteLossError

MAX_GRADIENT_NORM = 1.0


def deal(rows: int, size: int, draw: Draw) -> Iterator[list[int]]:
    """Places of rows in batches, without end: all rows in a random order, then all in another."""
    while True:
        order = draw.shuffled(range(rows))
        yield from (order[start : start + size] for start in range(0, rows, size))


class Stepper:
    """AdamW over the weights that may move, with a rate that falls to 0 over the steps."""

    def __init__(self, model: torch.nn.Module, *, rate: float, steps: int) -> None:
        self._weights = [weight for weight in model.parameters() if weight.requires_grad]
        self._rate, self._steps = rate, steps
        self._optimizer = torch.optim.AdamW(self._weights, lr=self._rate, weight_decay=0.0)

    def step(self, loss: torch.Tensor, number: int) -> float:
        """Go one step down a loss; ``number`` counts from 0.

        Raises:
            NonFiniteLossError: the loss is infinite or not a number.
        """
        value = float(loss.detach())
        if not math.isfinite(value):
            raise NonFiniteLossError(
                f"The loss is {value} at step {number + 1} of {self._steps} (learning rate {self._rate:g}).",
                why="From here on the weights are worthless.",
                fix="Lower rlhf.learning_rate, or look at what the reward returns.",
            )
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch has no type for it
        torch.nn.utils.clip_grad_norm_(self._weights, MAX_GRADIENT_NORM)
        for group in self._optimizer.param_groups:
            group["lr"] = self._rate * (1 - number / self._steps)
        self._optimizer.step()
        return value
