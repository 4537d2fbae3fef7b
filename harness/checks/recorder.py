"""A flight recorder for training: what was read, how the weights were moved, whichever loop does it.

It listens at the two places that every torch training passes: the model's ``forward`` and ``Optimizer.step``. So it
sees the same things in a hand-written loop, in a Trainer of transformers and in one of TRL, whoever wrote it.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook

IGNORED = -100
"""The label of a position at which no loss is taken."""


class Interrupted(BaseException):
    """The recorder was told to stop training here, as a power cut would; no ``except Exception`` holds it up."""


@dataclass(kw_only=True)
class Call:
    """One call of the model.

    Args:
        inputs: the tensors it was given, by name, on the CPU.
        training: whether the model was in training mode.
        step: how many optimizer steps had been taken before.
        learns: whether gradients flowed back through what it returned; known once they have.
        loss: the loss that the model returned, where it did.
    """

    inputs: dict[str, torch.Tensor]
    training: bool
    step: int
    learns: bool = False
    loss: float | None = None


@dataclass(frozen=True, kw_only=True)
class Group:
    """One group of an optimizer's parameters.

    Args:
        names: as in the model that learned; ``unknown 0`` and so on for weights that are none of that model's.
        learning_rate: not a number where the optimizer finds its own.
        weight_decay: as the optimizer has it.
    """

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
    first: dict[str, torch.Tensor] = field(default_factory=dict, repr=False)
    """The weights before the first step, as the optimizer has them; kept where gradients are."""
    last: dict[str, torch.Tensor] = field(default_factory=dict, repr=False)
    """The same before the last step."""

    @property
    def learning_calls(self) -> list[Call]:
        """The calls that were learned from."""
        return [call for call in self.calls if call.learns]


@contextmanager
def record(
    model: torch.nn.Module,
    *,
    gradients: int = 0,
    hold_still: bool = False,
    stop_after: int | None = None,
    stop_before: int | None = None,
) -> Iterator[Recording]:
    """Listen to every model of this class, copies included, and to every optimizer, within the block.

    Args:
        model: a model of the class that will train; wrapped with PEFT or not.
        gradients: for this many steps keep the gradients themselves, not only their norms.
        hold_still: take the gradients away before each step, so that the weights stay what they are.
        stop_after: raise `Interrupted` when this many optimizer steps are done, at the next call of the model.
        stop_before: raise `Interrupted` in place of optimizer step number ``stop_before`` (from 1), after recording it.
    """
    recording = Recording()
    names: dict[int, str] = {}

    def hear(called: torch.nn.Module, inputs: Mapping[str, Any]) -> Call:
        if stop_after is not None and len(recording.steps) >= stop_after:
            raise Interrupted
        call = Call(
            inputs={name: value.detach().cpu().clone() for name, value in inputs.items() if _is_tensor(value)},
            training=called.training,
            step=len(recording.steps),
        )
        recording.calls.append(call)
        return call

    def learn_names(called: torch.nn.Module) -> None:
        weights = named_weights(called)
        names.update({id(entry): name for name, entry in weights.items()})
        recording.shapes |= {name: tuple(entry.shape) for name, entry in weights.items()}
        recording.trainable -= weights.keys()
        recording.trainable |= {name for name, entry in weights.items() if entry.requires_grad}

    def before_step(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        recording.steps.append(_describe_step(optimizer, names, keep=len(recording.steps) < gradients))
        if gradients:
            recording.last = _copy_weights(optimizer, names)
            recording.first = recording.first or recording.last
        if stop_before is not None and len(recording.steps) >= stop_before:
            raise Interrupted
        if hold_still:
            optimizer.zero_grad(set_to_none=True)

    kinds = {type(unwrap(model)): hear, type(model): None} if is_wrapped(model) else {type(model): hear}
    handle = register_optimizer_step_pre_hook(before_step)
    try:
        with contextlib.ExitStack() as taps:
            for kind, listener in kinds.items():
                taps.enter_context(_tapped(kind, listener, learn_names))
            yield recording
    finally:
        handle.remove()


@contextmanager
def _tapped(
    kind: type[torch.nn.Module], hear: Callable[..., Call] | None, learn_names: Callable[..., None]
) -> Iterator[None]:
    """Let every model of a class do what it did, and tell of it, within the block.

    A trainer may call the model, or its ``forward`` alone (as PEFT does), or put a ``forward`` of its own on the object
    (as TRL does). So both ways in are tapped, and a call that comes through both is told once.
    """
    parameters = list(inspect.signature(kind.forward).parameters)[1:]
    inside: set[int] = set()

    def tap(original: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(original)
        def called(self: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
            if id(self) in inside:
                return original(self, *args, **kwargs)
            if torch.is_grad_enabled():
                learn_names(self)
            if hear is None:
                return original(self, *args, **kwargs)
            call = hear(self, {**dict(zip(parameters, args, strict=False)), **kwargs})
            inside.add(id(self))
            try:
                output = original(self, *args, **kwargs)
            finally:
                inside.discard(id(self))
            _follow(call, output)
            return output

        return called

    own = {name: vars(kind)[name] for name in ("__call__", "forward") if name in vars(kind)}
    ways_in: Any = kind
    ways_in.__call__, ways_in.forward = tap(kind.__call__), tap(kind.forward)
    try:
        yield
    finally:
        for name in ("__call__", "forward"):
            if name in own:
                setattr(kind, name, own[name])
            else:
                delattr(kind, name)


def _follow(call: Call, output: Any) -> None:
    """Note the loss of a call, and whether gradients flow back through what it returned."""

    def learned(gradient: torch.Tensor) -> None:
        call.learns = True

    named = dict(output) if isinstance(output, Mapping) else {}
    loss = named.get("loss")
    if isinstance(loss, torch.Tensor) and loss.numel() == 1:
        call.loss = float(loss)
    parts = named.values() if named else output if isinstance(output, tuple | list) else (output,)
    for part in parts:
        if _is_tensor(part) and part.requires_grad:
            part.register_hook(learned)


def _is_tensor(value: Any) -> bool:
    return isinstance(value, torch.Tensor)


def is_wrapped(model: torch.nn.Module) -> bool:
    """Whether a model is a PEFT wrapper round another."""
    return callable(getattr(model, "get_base_model", None))


def unwrap(model: torch.nn.Module) -> torch.nn.Module:
    """The transformers model inside a PEFT wrapper; any other model as it is."""
    inner = getattr(model, "get_base_model", None)
    found: torch.nn.Module = inner() if callable(inner) else model
    return found


def named_weights(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """The parameters under the names that they have in the model inside a wrapper, then those of the wrapper itself."""
    found = dict(unwrap(model).named_parameters())
    inside = {id(entry) for entry in found.values()}
    return found | {name: entry for name, entry in model.named_parameters() if id(entry) not in inside}


@contextmanager
def without_dropout(model: torch.nn.Module) -> Iterator[None]:
    """Set every dropout of a model to 0 within the block."""
    changed = dropout_rates(model)
    for module, name, _ in changed:
        setattr(module, name, 0.0)
    try:
        yield
    finally:
        for module, name, value in changed:
            setattr(module, name, value)


def dropout_rates(model: torch.nn.Module) -> list[tuple[torch.nn.Module, str, float]]:
    """Every dropout above 0 of a model, a layer or a plain number: the module, the name of the rate and the rate."""
    found = []
    for module in model.modules():
        for name, value in vars(module).items():
            is_rate = name == "p" if isinstance(module, torch.nn.modules.dropout._DropoutNd) else "dropout" in name  # noqa: SLF001 - the one base class of all dropouts
            if is_rate and isinstance(value, float) and value > 0:
                found.append((module, name, value))
    return found


def state_of(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A copy of all parameters by name, as `named_weights` calls them, on the CPU."""
    return {name: parameter.detach().cpu().clone() for name, parameter in named_weights(model).items()}


def changed_parameters(before: Mapping[str, torch.Tensor], after: Mapping[str, torch.Tensor]) -> set[str]:
    """The names whose values differ, of those that are in both."""
    return {name for name in before.keys() & after.keys() if not torch.equal(before[name], after[name])}


def _describe_step(optimizer: Optimizer, names: Mapping[int, str], *, keep: bool) -> Step:
    groups = []
    norms: dict[str, float | None] = {}
    kept: dict[str, torch.Tensor] = {}
    for group, named in zip(optimizer.param_groups, _named_groups(optimizer, names), strict=True):
        groups.append(
            Group(
                names=tuple(name for name, _ in named),
                learning_rate=_number(group.get("lr")),
                weight_decay=float(group.get("weight_decay") or 0.0),
            )
        )
        for name, entry in named:
            norms[name] = None if entry.grad is None else float(entry.grad.norm())
            if keep and entry.grad is not None:
                kept[name] = entry.grad.detach().cpu().clone()
    return Step(groups=tuple(groups), norms=norms, gradients=kept)


def _named_groups(optimizer: Optimizer, names: Mapping[int, str]) -> list[list[tuple[str, torch.Tensor]]]:
    unknown = (f"unknown {index}" for index in itertools.count())
    return [
        [(names.get(id(entry)) or next(unknown), entry) for entry in group["params"]]
        for group in optimizer.param_groups
    ]


def _copy_weights(optimizer: Optimizer, names: Mapping[int, str]) -> dict[str, torch.Tensor]:
    groups = _named_groups(optimizer, names)
    return {name: entry.detach().cpu().clone() for group in groups for name, entry in group}


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)
