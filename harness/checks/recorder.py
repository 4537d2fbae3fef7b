"""A flight recorder for training: what was read, how the weights were moved, whichever loop does it.

It listens at the two places that every torch training passes: the model's ``forward`` and ``Optimizer.step``. So it
sees the same things in a hand-written loop, in a Trainer of transformers and in one of TRL, whoever wrote it.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook


class Interrupted(BaseException):
    """The recorder was told to stop training here, as a power cut would; no ``except Exception`` holds it up."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of the model.

    Args:
        inputs: what it was given by keyword, tensors only, on the CPU.
        training: whether the model was in training mode.
        gradients: whether gradients were recorded.
        step: how many optimizer steps had been taken before.
    """

    inputs: dict[str, torch.Tensor]
    training: bool
    gradients: bool
    step: int

    @property
    def learns(self) -> bool:
        """Whether this call was made to learn from."""
        return self.training and self.gradients and "labels" in self.inputs


@dataclass(frozen=True, kw_only=True)
class Group:
    """One group of an optimizer's parameters; names are those of the model, as far as they are known."""

    names: tuple[str, ...]
    learning_rate: float
    weight_decay: float


@dataclass(frozen=True, kw_only=True)
class Step:
    """One optimizer step, as it was about to be taken.

    Args:
        groups: the optimizer's groups.
        norms: norm of each parameter's gradient, by name; nothing where a parameter has none.
        gradients: the gradients themselves, where they were asked for.
    """

    groups: tuple[Group, ...]
    norms: dict[str, float | None]
    gradients: dict[str, torch.Tensor] = field(repr=False)

    @property
    def learning_rate(self) -> float:
        """The highest learning rate of the groups."""
        return max((group.learning_rate for group in self.groups), default=0.0)


@dataclass(kw_only=True)
class Recording:
    """What the recorder heard, in order."""

    calls: list[Call] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Shape of each parameter of the model that was trained."""
    trainable: set[str] = field(default_factory=set)
    """Parameters that required a gradient when the model was last called to learn."""

    @property
    def learning_calls(self) -> list[Call]:
        """The calls that were made to learn from."""
        return [call for call in self.calls if call.learns]


@contextmanager
def record(
    model: torch.nn.Module, *, gradients: bool = False, stop_after: int | None = None, stop_before: int | None = None
) -> Iterator[Recording]:
    """Listen to every model of this class, copies included, and to every optimizer, within the block.

    Args:
        model: a model of the class that will train; wrapped with PEFT or not.
        gradients: keep the gradients of each step, not only their norms.
        stop_after: raise `Interrupted` when this many optimizer steps are done, at the next call of the model.
        stop_before: raise `Interrupted` in place of optimizer step number ``stop_before`` (from 1), after recording it.
    """
    recording = Recording()
    names: dict[int, str] = {}
    kind = type(unwrap(model))
    original = kind.forward

    @functools.wraps(original)
    def forward(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        if stop_after is not None and len(recording.steps) >= stop_after:
            raise Interrupted
        for name, parameter in self.named_parameters():
            names[id(parameter)] = name
        call = Call(
            inputs={
                key: value.detach().cpu().clone() for key, value in kwargs.items() if isinstance(value, torch.Tensor)
            },
            training=self.training,
            gradients=torch.is_grad_enabled(),
            step=len(recording.steps),
        )
        recording.calls.append(call)
        if call.learns:
            recording.shapes = {name: tuple(parameter.shape) for name, parameter in self.named_parameters()}
            recording.trainable = {name for name, entry in self.named_parameters() if entry.requires_grad}
        return original(self, *args, **kwargs)

    def before_step(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        recording.steps.append(_describe_step(optimizer, names, keep=gradients))
        if stop_before is not None and len(recording.steps) >= stop_before:
            raise Interrupted

    handle = register_optimizer_step_pre_hook(before_step)
    kind.forward = forward
    try:
        yield recording
    finally:
        kind.forward = original
        handle.remove()


def unwrap(model: torch.nn.Module) -> torch.nn.Module:
    """The transformers model inside a PEFT wrapper; any other model as it is."""
    inner = getattr(model, "get_base_model", None)
    found: torch.nn.Module = inner() if callable(inner) else model
    return found


@contextmanager
def without_dropout(model: torch.nn.Module) -> Iterator[None]:
    """Set every dropout of a model to 0 within the block: modules, and rates that modules keep as numbers."""
    changed: list[tuple[Any, str, float]] = []
    for module in model.modules():
        for name, value in list(vars(module).items()):
            is_rate = name == "p" if isinstance(module, torch.nn.modules.dropout._DropoutNd) else "dropout" in name  # noqa: SLF001 - the one base class of all dropouts
            if is_rate and isinstance(value, float):
                changed.append((module, name, value))
                setattr(module, name, 0.0)
    try:
        yield
    finally:
        for module, name, value in changed:
            setattr(module, name, value)


def state_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of all parameters by name, on the CPU."""
    return {name: parameter.detach().cpu().clone() for name, parameter in model.named_parameters()}


def changed_parameters(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> set[str]:
    """The names whose values differ, of those that are in both."""
    return {name for name in before.keys() & after.keys() if not torch.equal(before[name], after[name])}


def _describe_step(optimizer: Optimizer, names: Mapping[int, str], *, keep: bool) -> Step:
    groups = []
    norms: dict[str, float | None] = {}
    kept: dict[str, torch.Tensor] = {}
    for group in optimizer.param_groups:
        named = [(names.get(id(entry), f"unknown {index}"), entry) for index, entry in enumerate(group["params"])]
        groups.append(
            Group(
                names=tuple(name for name, _ in named),
                learning_rate=float(group.get("lr", 0.0)),
                weight_decay=float(group.get("weight_decay", 0.0)),
            )
        )
        for name, entry in named:
            norms[name] = None if entry.grad is None else float(entry.grad.norm())
            if keep and entry.grad is not None:
                kept[name] = entry.grad.detach().cpu().clone()
    return Step(groups=tuple(groups), norms=norms, gradients=kept)
