"""Models that say what they are told: with a known answer, what a loss, a decoder or a metric must give is known."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from harness.checks.check import CheckSkipped
from harness.checks.recorder import unwrap

SURE = 60.0
"""The logit of the token that is said, all others being 0: a probability of 1 in float32."""

Truth = Callable[[dict[str, torch.Tensor]], torch.Tensor]


@contextmanager
def knowing(model: torch.nn.Module, truth: Truth) -> Iterator[None]:
    """Let a language model predict the truth at every position, within the block.

    Args:
        model: a model of transformers with a language-modelling head; PEFT-wrapped or not.
        truth: is given the tensors that the model was called with, and returns the ids that it should predict:
            (batch, length) int64, -1 where it knows nothing.

    Raises:
        CheckSkipped: the model has no head whose outputs are known to be logits.
    """
    inner = unwrap(model)
    head = getattr(inner, "get_output_embeddings", lambda: None)()
    if head is None:
        raise CheckSkipped("the model names no output embeddings, so no answer can be put into its mouth")
    kind, original = type(inner), type(inner).forward
    given: list[dict[str, torch.Tensor]] = []

    @functools.wraps(original)
    def forward(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        given.append({name: value for name, value in kwargs.items() if isinstance(value, torch.Tensor)})
        try:
            return original(self, *args, **kwargs)
        finally:
            given.pop()

    def answer(module: torch.nn.Module, args: Any, logits: torch.Tensor) -> torch.Tensor:
        if not given:
            return logits
        ids = truth(given[-1])[:, -logits.shape[1] :]
        known = (ids >= 0)[..., None]
        spoken = torch.nn.functional.one_hot(ids.clamp(min=0), logits.shape[-1]).to(logits) * SURE
        return torch.where(known, spoken, torch.zeros_like(logits)) + 0.0 * logits

    handle = head.register_forward_hook(answer)
    kind.forward = forward
    try:
        yield
    finally:
        kind.forward = original
        handle.remove()


@contextmanager
def speaking(model: torch.nn.Module, script: Sequence[int]) -> Iterator[None]:
    """Let a model generate these tokens, in every row and beam, within the block; behind the last it repeats it.

    Args:
        model: a model of transformers that generates; PEFT-wrapped or not.
        script: token ids, one for each step of ``generate``.
    """
    inner: Any = unwrap(model)
    kind, original = type(inner), type(inner).forward
    steps = 0
    own_generate = inner.generate

    @functools.wraps(original)
    def forward(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        nonlocal steps
        output = original(self, *args, **kwargs)
        logits = output.logits
        logits[:, -1, :] = 0.0
        logits[:, -1, script[min(steps, len(script) - 1)]] = SURE
        steps += 1
        return output

    @functools.wraps(own_generate)
    def generate(*args: Any, **kwargs: Any) -> Any:
        nonlocal steps
        steps = 0
        return own_generate(*args, **kwargs)

    inner.generate = generate
    kind.forward = forward
    try:
        yield
    finally:
        kind.forward = original
        del inner.generate
