"""Several tasks on one model: what is really consumed of each, and whether each one learns."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

import torch

from harness.checks.check import CheckFailed, CheckSkipped, PartError, check
from harness.checks.evidence import Evidence
from harness.checks.recorder import changed_parameters, state_of

Tasks = dict[str, dict[str, list[Any]]]

CHANCE = 1e-4
"""A mixture that is less likely than this under the declared one is another."""
SEEN = 0.5
"""Share of all rows that an epoch must have consumed at least."""
LONGEST = 20
"""Times all rows that are looked at of a mixture without an end."""
ROWS = 24
"""Rows of each task that are trained on."""


@check("I13", "multitask", needs=("multitask.tasks", "multitask.mixture"))
def mixture_is_as_declared(evidence: Evidence) -> str:
    """Each task is consumed, in the declared share, and an epoch does not end before half of the rows were seen."""
    tasks = read_tasks(evidence)
    total = sum(len(splits["train"]) for splits in tasks.values())
    mixture = evidence.call("multitask.mixture", seed=evidence.seed)
    consumed = [(str(task), row) for task, row in islice(mixture, LONGEST * total)]
    counts = Counter(task for task, _ in consumed)
    unknown = sorted(counts.keys() - tasks.keys())
    if unknown or not consumed:
        raise PartError(f"multitask.mixture gave {len(consumed)} rows, of tasks {unknown} that tasks does not have.")
    epochs = "; ".join(tell_task(evidence, task, rows["train"], consumed) for task, rows in tasks.items())
    starved = [task for task in tasks if not counts[task]]
    if starved:
        raise CheckFailed(
            f"No row of {', '.join(starved)} is consumed ({epochs}).",
            suspects=("task-never-trained", "mixing-ratio-not-as-declared"),
            remedy="Count the tasks of the batches that reach the optimizer; look for loaders that replace each other.",
        )
    declared = evidence.declared("mixture")
    if declared is not None:
        likely = chi_square({task: counts[task] for task in tasks}, declared)
        if likely < CHANCE:
            raise CheckFailed(
                f"The shares are {_shares(counts)}, declared are {_shares(declared)} (chi-square p = {likely:.1e}); "
                f"{epochs}.",
                suspects=("mixing-ratio-not-as-declared", "task-never-trained"),
                remedy="Give the mixer probabilities, and choose when it stops; the default takes tasks in turn.",
            )
    if len(consumed) < SEEN * total:
        raise CheckFailed(
            f"An epoch ends after {len(consumed)} of {total} rows ({epochs}).",
            suspects=("mixing-ratio-not-as-declared", "task-never-trained"),
            remedy="Let the epoch end with the largest task, not with the smallest.",
        )
    return epochs


@check(
    "I5",
    "multitask",
    needs=("make_model", "multitask.tasks", "multitask.add_task", "multitask.train_task", "multitask.loss"),
)
def each_task_learns(evidence: Evidence) -> str:
    """Training on a task moves the weights that it alone uses, and lowers its loss on the rows it was trained on."""
    tasks = {task: splits["train"][:ROWS] for task, splits in read_tasks(evidence).items()}
    model = evidence.model()
    for task in tasks:
        model = evidence.call("multitask.add_task", model, task)
    used = {task: used_parameters(evidence, model, task, rows[:2]) for task, rows in tasks.items()}
    told, idle = [], []
    for task, rows in tasks.items():
        own = used[task] - set().union(*(names for other, names in used.items() if other != task))
        before, loss = state_of(model), task_loss(evidence, model, task, rows)
        model = evidence.call("multitask.train_task", model, task, rows)
        moved, lower = own & changed_parameters(before, state_of(model)), task_loss(evidence, model, task, rows)
        told.append(f"{task}: {len(moved)} of its own {len(own)} tensors moved, loss {loss:.3f} to {lower:.3f}")
        if (own and not moved) or not lower < loss:
            idle.append(task)
    if idle:
        raise CheckFailed(
            f"Training on {', '.join(idle)} does not teach it ({'; '.join(told)}).",
            suspects=("task-never-trained", "head-lost-when-switching-tasks"),
            remedy="Look whether the loop trains the head and the rows of this task, or those of another.",
        )
    return "; ".join(told)


def read_tasks(evidence: Evidence) -> Tasks:
    """The user's tasks, in the order in which they are learned.

    Raises:
        PartError: they are no mapping of tasks to splits with ``"train"``.
        CheckSkipped: there is one task only.
    """
    found = evidence.remember("tasks", lambda: evidence.call("multitask.tasks"))
    if not isinstance(found, Mapping) or not all(isinstance(s, Mapping) and "train" in s for s in found.values()):
        raise PartError('multitask.tasks returned no {task: {"train": rows, "eval": rows}}.')
    if len(found) == 1:
        raise CheckSkipped("there is one task only")
    return {str(task): {str(name): list(rows) for name, rows in splits.items()} for task, splits in found.items()}


def task_loss(evidence: Evidence, model: torch.nn.Module, task: str, rows: Sequence[Any]) -> float:
    """The user's loss of a task in eval mode."""
    with torch.no_grad():
        return float(evidence.call("multitask.loss", model.eval(), task, rows))


def used_parameters(evidence: Evidence, model: torch.nn.Module, task: str, rows: Sequence[Any]) -> set[str]:
    """The parameters that the loss of a task depends on."""
    entries = {name: entry for name, entry in model.named_parameters() if entry.requires_grad}
    loss = evidence.call("multitask.loss", model.eval(), task, rows)
    found: tuple[torch.Tensor | None, ...] = torch.autograd.grad(loss, list(entries.values()), allow_unused=True)
    return {name for name, gradient in zip(entries, found, strict=True) if gradient is not None}


def chi_square(counts: Mapping[str, int], shares: Mapping[str, float]) -> float:
    """How likely counts as far from the shares as these are, or farther: Pearson's test of fit (Pearson 1900).

    Args:
        counts: how often each kind was seen.
        shares: of each kind; a kind that is missing has none.

    Returns:
        The p-value, between 0 and 1; 0 where a kind was seen that has no share.
    """
    total, whole = sum(counts.values()), sum(shares.values())
    expected = {kind: total * share / whole for kind, share in shares.items() if share > 0}
    if any(number for kind, number in counts.items() if kind not in expected):
        return 0.0
    statistic = sum((counts.get(kind, 0) - number) ** 2 / number for kind, number in expected.items())
    freedom = torch.tensor((len(expected) - 1) / 2, dtype=torch.float64)
    if freedom == 0:
        return 1.0
    return float(torch.special.gammaincc(freedom, torch.tensor(statistic / 2, dtype=torch.float64)))


def row_key(evidence: Evidence, tasks: Tasks) -> Any:
    """What tells one row from another: its id, where ids are there and unique; else all of its content."""
    rows = [row for splits in tasks.values() for rows in splits.values() for row in rows]
    name = evidence.column_name(rows[0], "id") if rows and (evidence.declared("id_column") or _maps(rows[0])) else None
    if name is not None and len({_read(row, name) for row in rows}) == len(rows):
        return lambda row: _read(row, name)
    return lambda row: json.dumps(row if _maps(row) else vars(row), sort_keys=True, default=str)


def tell_task(evidence: Evidence, task: str, rows: Sequence[Any], consumed: Sequence[tuple[str, Any]]) -> str:
    """How often a task's rows were consumed, and how many of them were not."""
    key = row_key(evidence, {task: {"train": list(rows)}})
    seen = [key(row) for name, row in consumed if name == task]
    known = {key(row) for row in rows}
    told = f"{task}: {len(seen) / max(1, len(rows)):.2g} epochs"
    return f"{told}, {len(known - set(seen))} of {len(known)} rows unseen" if known & set(seen) else told


def _shares(numbers: Mapping[str, float]) -> str:
    total = sum(numbers.values())
    return ", ".join(f"{name} {number / total:.2f}" for name, number in sorted(numbers.items()))


def _maps(row: Any) -> bool:
    return isinstance(row, Mapping)


def _read(row: Any, name: str) -> Any:
    return row.get(name) if _maps(row) else getattr(row, name, None)
