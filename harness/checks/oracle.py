"""Models that say what they are told: where the answer is known, so is what a loss, a decoder or a metric must give."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    head = output_head(model)
    kind, original = type(inner), type(inner).forward
    signature = inspect.signature(original)
    given: list[dict[str, torch.Tensor]] = []

    @functools.wraps(original)
    def forward(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        named = {**signature.bind_partial(self, *args).arguments, **kwargs}
        given.append({name: value for name, value in named.items() if isinstance(value, torch.Tensor)})
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
def drawing(model: torch.nn.Module, logits: torch.Tensor) -> Iterator[None]:
    """Let a language model have the same distribution over tokens at every position, within the block.

    Args:
        model: a model of transformers with a language-modelling head; PEFT-wrapped or not.
        logits: (vocabulary,) float.

    Raises:
        CheckSkipped: the model has no head whose outputs are known to be logits.
    """

    def answer(module: torch.nn.Module, args: Any, own: torch.Tensor) -> torch.Tensor:
        return logits.to(own) + 0.0 * own

    handle = output_head(model).register_forward_hook(answer)
    try:
        yield
    finally:
        handle.remove()


def output_head(model: torch.nn.Module) -> torch.nn.Module:
    """The layer of a language model that gives the logits.

    Raises:
        CheckSkipped: the model names none.
    """
    head: torch.nn.Module | None = getattr(unwrap(model), "get_output_embeddings", lambda: None)()
    if head is None:
        raise CheckSkipped("the model names no output embeddings, so no answer can be put into its mouth")
    return head


@contextmanager
def speaking(model: torch.nn.Module, script: Sequence[int]) -> Iterator[None]:
    """Let a model generate these tokens, in every row and beam, within the block; behind the last it repeats it.

    A call of ``generate`` begins the script anew. So does, in a decoding loop by hand, a forward pass that does not go
    on from the one before: its ids are neither single ones beside a cache nor the ids before and one more.

    Args:
        model: a model of transformers; PEFT-wrapped or not.
        script: token ids, one for each step.
    """
    inner: Any = unwrap(model)
    kind, original = type(inner), type(inner).forward
    signature = inspect.signature(original)
    steps = 0
    generating = False
    before: torch.Tensor | None = None

    @functools.wraps(original)
    def forward(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        nonlocal steps, before
        output = original(self, *args, **kwargs)
        if not generating:
            named = {**signature.bind_partial(self, *args).arguments, **kwargs}
            ids = _written(named)
            steps = steps if _goes_on(before, ids, named) else 0
            before = ids
        logits = output.logits
        logits[:, -1, :] = 0.0
        logits[:, -1, script[min(steps, len(script) - 1)]] = SURE
        steps += 1
        return output

    def generate(own: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        nonlocal steps, generating
        steps, generating = 0, True
        try:
            return own(*args, **kwargs)
        finally:
            generating = False

    kind.forward = forward
    try:
        with generate_wrapped(inner, generate):
            yield
    finally:
        kind.forward = original


@contextmanager
def generate_wrapped(model: Any, wrapper: Callable[..., Any]) -> Iterator[None]:
    """Let ``wrapper(generate, *args, **kwargs)`` stand for a model's ``generate`` within the block, if it has one."""
    own = getattr(model, "generate", None)
    if own is None:
        yield
        return
    before = vars(model).get("generate")
    model.generate = functools.wraps(own)(functools.partial(wrapper, own))
    try:
        yield
    finally:
        del model.generate
        if before is not None:
            model.generate = before


def _written(inputs: Mapping[str, Any]) -> torch.Tensor | None:
    """The ids that the next token follows: (batch, length)."""
    ids = inputs.get("decoder_input_ids")
    return inputs.get("input_ids") if ids is None else ids


def _goes_on(before: torch.Tensor | None, ids: torch.Tensor | None, inputs: Mapping[str, Any]) -> bool:
    if before is None or ids is None or len(before) != len(ids):
        return False
    if ids.shape[1] == before.shape[1] + 1 and torch.equal(ids[:, :-1], before):
        return True
    cache = inputs.get("past_key_values")
    filled = cache is not None and (not hasattr(cache, "get_seq_length") or cache.get_seq_length() > ids.shape[1])
    return filled and ids.shape[1] == 1
