"""Learning one task after another: is the head of an earlier one kept, and does what should hold on to it hold?"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from harness.checks.check import CheckFailed, PartError, check
from harness.checks.evidence import Evidence
from harness.checks.mixing import read_tasks

ROWS = 6
"""Rows whose logits or gradients are compared."""
EXACT = 1e-5
"""Relative difference that float32 explains between logits of equal weights."""
STEP = 0.01
"""How far the weights are moved at a time."""


@check(
    "I6", "multitask",
    needs=("make_model", "multitask.tasks", "multitask.train_task", "multitask.add_task", "multitask.predict"),
)  # fmt: skip
def earlier_task_is_kept(evidence: Evidence) -> str:
    """Adding a task without training it leaves the logits of an earlier one as they are; so does saving and loading."""
    tasks = read_tasks(evidence)
    first, second = list(tasks)[:2]
    rows = (tasks[first].get("eval") or tasks[first]["train"])[:ROWS]
    model = evidence.call("multitask.add_task", evidence.model(), first)
    model = evidence.call("multitask.train_task", model, first, tasks[first]["train"][:24])
    before = _logits(evidence, model, first, rows)
    wider = evidence.call("multitask.add_task", model, second)
    gaps = {f"adding {second}": _gap(_logits(evidence, wider, first, rows), before)}
    if evidence.has("save") and evidence.has("load"):
        with TemporaryDirectory() as folder:
            evidence.call("save", wider, Path(folder))
            loaded = evidence.call("load", Path(folder))
        gaps["saving and loading"] = _gap(_logits(evidence, loaded, first, rows), _logits(evidence, wider, first, rows))
    lost = [what for what, gap in gaps.items() if gap > EXACT]
    if lost:
        raise CheckFailed(
            f"The logits of {first} changed by {gaps[lost[0]]:.1e} of their size by {lost[0]}.",
            suspects=("head-lost-when-switching-tasks",),
            remedy="Keep one head for each task, make only the one that is missing, and save and load all of them.",
        )
    return ", ".join(f"{what}: {gap:.1e}" for what, gap in gaps.items())


@check("I14", "multitask", needs=("make_model", "multitask.anchor", "multitask.penalty"))
def penalty_grows_with_distance(evidence: Evidence) -> str:
    """The anchor keeps its values when the weights move, and the penalty grows and pulls back."""
    model = task_model(evidence)[0] if evidence.has("multitask.tasks") else evidence.model()
    anchor = evidence.call("multitask.anchor", model)
    if not isinstance(anchor, Mapping) or not all(isinstance(entry, torch.Tensor) for entry in anchor.values()):
        raise PartError("multitask.anchor returned no mapping of parameter names to tensors.")
    entries = dict(model.named_parameters())
    places = {entry.untyped_storage().data_ptr() for entry in entries.values()}
    aliased = [name for name, entry in anchor.items() if entry.untyped_storage().data_ptr() in places]
    even = {name: torch.ones_like(entry) for name, entry in anchor.items()}
    generator = torch.Generator().manual_seed(evidence.seed)
    way = {name: torch.randn(entry.shape, generator=generator) for name, entry in entries.items()}
    values = []
    for _ in range(3):
        penalty = evidence.call("multitask.penalty", model, anchor, even)
        values.append(float(penalty))
        with torch.no_grad():
            for name, entry in entries.items():
                entry.add_(way[name], alpha=STEP)
    seen = f"At the anchor, one and two steps of {STEP} away the penalty is {', '.join(f'{v:.3g}' for v in values)}"
    if aliased or not values[0] < values[1] < values[2]:
        raise CheckFailed(
            f"{seen}; {len(aliased)} of {len(anchor)} anchored tensors share their memory with the model.",
            suspects=("ewc-anchor-aliases-weights",),
            remedy="Store parameter.detach().clone(); a reference moves with the weights.",
        )
    if not (isinstance(penalty, torch.Tensor) and penalty.requires_grad):
        raise CheckFailed(
            f"{seen}, but it carries no gradient, so it pulls nothing back.",
            suspects=("ewc-anchor-aliases-weights",),
            remedy="Compute it from the parameters themselves, outside no_grad() and without .item() or .data.",
        )
    return seen


def task_model(evidence: Evidence) -> tuple[torch.nn.Module, str, list[Any]]:
    """A base with room for the first task, the task, and some of its rows."""
    tasks = read_tasks(evidence)
    first = next(iter(tasks))
    model = evidence.model()
    if evidence.has("multitask.add_task"):
        model = evidence.call("multitask.add_task", model, first)
    return copy.deepcopy(model).eval(), first, tasks[first]["train"][:ROWS]


def _logits(evidence: Evidence, model: torch.nn.Module, task: str, rows: Sequence[Any]) -> torch.Tensor:
    with torch.no_grad():
        logits = evidence.call("multitask.predict", model.eval(), task, rows)
    if not isinstance(logits, torch.Tensor):
        raise PartError(f"multitask.predict returned a {type(logits).__name__}; expected a tensor of logits.")
    return logits.detach().float().clone()


def _gap(found: torch.Tensor, right: torch.Tensor) -> float:
    if found.shape != right.shape:
        return float("inf")
    return float((found - right).abs().max() / right.abs().max().clamp(min=1e-6))
