"""What an adapter adds to each layer, measured from outside: by sending the unit vectors through it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import torch

CLOSE = 1e-4
"""Relative error up to which two changes of a layer count as equal."""
MATRIX = 2
"""Dimensions of a matrix."""
NEAR = 0.1
"""Relative error up to which they count as the same change, computed less exactly."""


class Kind(StrEnum):
    """How the change of a layer that was found stands to the one that is right."""

    EQUAL = "equal"
    ABSENT = "absent"
    SCALED = "scaled"
    TRANSPOSED = "transposed"
    INEXACT = "inexact"
    UNASKED = "changed unasked"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Relation:
    """How a change of one layer stands to the right one: its kind, and found = ``factor`` x right, where that fits."""

    kind: Kind
    factor: float
    error: float


def layer_changes(base: torch.nn.Module, model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """How each linear layer of the base answers otherwise inside a model.

    Args:
        base: without an adapter.
        model: the same with one; its modules may have names before those of the base.

    Returns:
        Name of the layer in the base to the change of its matrix, (inputs, outputs) float32.
    """
    places = {name: module for name, module in model.named_modules() if name}
    changes = {}
    for name, layer in base.named_modules():
        width = _inputs_of(layer)
        place = next((other for other in places if other == name or other.endswith("." + name)), None)
        if width is not None and place is not None:
            changes[name] = matrix_of(places[place], width) - matrix_of(layer, width)
    return changes


def matrix_of(layer: torch.nn.Module, width: int) -> torch.Tensor:
    """The matrix of a layer that is linear up to a bias: (inputs, outputs)."""
    training = layer.training
    layer.eval()
    with torch.no_grad():
        answer: torch.Tensor = layer(torch.eye(width)) - layer(torch.zeros(1, width))
    layer.train(training)
    return answer


def relate(found: torch.Tensor, right: torch.Tensor) -> Relation:
    """How one change of a layer stands to the right one."""
    norm = float(right.norm())
    if norm <= CLOSE * float(found.norm()):
        return Relation(kind=Kind.UNASKED, factor=float("inf"), error=float("inf"))
    if float(found.norm()) <= CLOSE * norm:
        return Relation(kind=Kind.ABSENT, factor=0.0, error=1.0)
    factor = float((found * right).sum()) / norm**2
    error = float((found - right).norm()) / norm
    if error <= CLOSE:
        return Relation(kind=Kind.EQUAL, factor=factor, error=error)
    if float((found - factor * right).norm()) <= CLOSE * float(found.norm()):
        return Relation(kind=Kind.SCALED, factor=factor, error=error)
    if found.shape == right.T.shape and float((found.T - right).norm()) <= NEAR * norm:
        return Relation(kind=Kind.TRANSPOSED, factor=1.0, error=error)
    return Relation(kind=Kind.INEXACT if error <= NEAR else Kind.OTHER, factor=factor, error=error)


def relations(found: Mapping[str, torch.Tensor], right: Mapping[str, torch.Tensor]) -> dict[str, Relation]:
    """The relation of each layer that either change touches, in those layers that both models have."""
    threshold = CLOSE * max((float(change.norm()) for change in right.values()), default=0.0)
    return {
        name: relate(found[name], change)
        for name, change in right.items()
        if name in found and max(float(change.norm()), float(found[name].norm())) > threshold
    }


def tell_relations(related: Mapping[str, Relation]) -> str:
    """The relations in words, the wrong ones first."""
    counts = Counter(relation.kind for relation in related.values())
    words = [f"{number} {kind}" for kind, number in counts.items() if kind is not Kind.EQUAL]
    factors = sorted({round(relation.factor, 2) for relation in related.values() if relation.kind is Kind.SCALED})
    if factors:
        words.append(f"scaled by {', '.join(f'{factor:g}' for factor in factors[:3])}")
    return f"of {len(related)} adapted layers: " + (", ".join(words) or "all equal")


def _inputs_of(layer: torch.nn.Module) -> int | None:
    """How wide the inputs of a linear layer are; nothing for any other module."""
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, torch.Tensor) or weight.ndim != MATRIX:
        return None
    if isinstance(layer, torch.nn.Linear):
        return int(weight.shape[1])
    return int(weight.shape[0]) if hasattr(layer, "nf") else None
