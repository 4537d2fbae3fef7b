"""What a sweep has to do: its cells with their keys, and those that do not fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.preparation import Say
from harness.sweeps.cells import Group, list_groups
from harness.sweeps.runner import Failure, Runner
from harness.sweeps.settings import Sweep
from harness.sweeps.work import DEVICE, CellOrder, LookOrder, Seen, look


@dataclass(frozen=True, kw_only=True)
class Unfit:
    """A method that does not fit a task or a model: no failure, but nothing to run.

    Args:
        task: the task's name.
        model: the model's name.
        method: the method's.
        reason: why.
        cells: how many cells that are.
    """

    task: str
    model: str
    method: str
    reason: str
    cells: int


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a sweep has to do.

    Args:
        groups: all cells.
        orders: key to what there is to run.
        unfit: what does not fit.
        refused: tasks and models that cannot be looked at, and why.
    """

    groups: tuple[Group, ...]
    orders: Mapping[str, CellOrder]
    unfit: tuple[Unfit, ...]
    refused: tuple[tuple[Group, Failure], ...]

    @property
    def refused_cells(self) -> int:
        """How many cells cannot even be begun."""
        return sum(len(group.cells) for group, _ in self.refused)


def plan_sweep(sweep: Sweep, runner: Runner, *, say: Say) -> Plan:
    """Look at every task and model: what cells start from, and what does not fit. Nothing is trained or written.

    Args:
        sweep: the settings.
        runner: has the workers that look.
        say: is told what does not fit, and what cannot be used.

    Raises:
        SettingsError: a setting is wrong.
        NameUnknownError: there is no such task, method or engine.
    """
    groups = list_groups(sweep)
    looks = {str(number): LookOrder(group=group, threads=sweep.threads) for number, group in enumerate(groups)}
    found: dict[int, Seen | Failure] = {}
    for key, ended in runner.run(look, looks):
        found[int(key)] = ended.failure or ended.value
        if ended.failure:
            say(f"{groups[int(key)]} cannot be used: {ended.failure}")
    orders: dict[str, CellOrder] = {}
    unfit: list[Unfit] = []
    refused: list[tuple[Group, Failure]] = []
    for number, group in enumerate(groups):
        seen = found[number]
        if isinstance(seen, Failure):
            refused.append((group, seen))
            continue
        orders |= {order.key: order for order in _order(group, seen, sweep, runner)}
        unfit += _list_unfit(group, seen)
    for entry in unfit:
        say(f"{entry.task}, {entry.model}, {entry.method} does not fit: {entry.reason}")
    return Plan(
        groups=groups,
        orders=orders,
        unfit=tuple(unfit),
        refused=tuple(refused),
    )


def _order(group: Group, seen: Seen, sweep: Sweep, runner: Runner) -> Sequence[CellOrder]:
    circumstances = {
        method: {name: value for name, value in found.items() if name != DEVICE or runner.describes_device}
        for method, found in seen.circumstances.items()
    }
    return [
        CellOrder(
            cell=cell,
            sources=seen.sources[cell.method],
            circumstances=circumstances[cell.method],
            threads=sweep.threads,
        )
        for cell in group.cells
        if cell.method in seen.sources
    ]


def _list_unfit(group: Group, seen: Seen) -> list[Unfit]:
    return [
        Unfit(
            task=group.task,
            model=group.model,
            method=method,
            reason=reason,
            cells=sum(cell.method == method for cell in group.cells),
        )
        for method, reason in seen.unfit.items()
    ]
