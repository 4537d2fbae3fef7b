"""The cells of a sweep: one experiment for each task, model, method and seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.config import Experiment, anchor, load_experiment, parse_experiment
from harness.errors import NameUnknownError, SettingsError
from harness.preparation import require_names
from harness.registry import unknown_name
from harness.sweeps.settings import Sweep
from harness.tasks import TASKS


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One experiment of a sweep.

    Args:
        task: what its line in the report is called; the name of the task or of the experiment's file.
        model: likewise.
        method: how the model is adapted.
        seed: of training.
        experiment: all of its settings.
    """

    task: str
    model: str
    method: str
    seed: int
    experiment: Experiment

    def __str__(self) -> str:
        return f"{self.task}, {self.model}, {self.method}, seed {self.seed}"


@dataclass(frozen=True, kw_only=True)
class Group:
    """The cells of one task and one model, whose rows and base are looked at once.

    Args:
        task: the task's name.
        model: the model's name.
        cells: all methods and seeds.
    """

    task: str
    model: str
    cells: tuple[Cell, ...]

    def __str__(self) -> str:
        return f"{self.task}, {self.model}"

    @property
    def first_of_each_method(self) -> tuple[Cell, ...]:
        """A cell of each method: seeds differ in nothing that is known before training."""
        return tuple({cell.method: cell for cell in reversed(self.cells)}.values())[::-1]


def list_groups(sweep: Sweep) -> tuple[Group, ...]:
    """All cells of a sweep, by task and model.

    Raises:
        SettingsError: a setting is wrong, or two tasks have one name.
        NameUnknownError: there is no such task, method or engine.
    """
    found: list[Group] = []
    names: set[str] = set()
    for choice in sweep.tasks:
        base = _load(choice)
        name = choice if choice in TASKS else base.name
        if name in names:
            raise SettingsError(f'Two tasks of the sweep are called "{name}".', fix="Give one file another name.")
        names.add(name)
        models = sweep.models or (base.model.name,)
        found += [_make_group(sweep, base, choice, name, model) for model in models]
    return tuple(found)


def _load(choice: str) -> Experiment:
    """The experiment of a task, or of a file."""
    try:
        return load_experiment(f"{choice}-full" if choice in TASKS else choice)
    except NameUnknownError:
        raise unknown_name("task", choice, tuple(TASKS)) from None


def _make_group(sweep: Sweep, base: Experiment, choice: str, task: str, model: str) -> Group:
    cells = []
    for method in sweep.methods:
        for seed in sweep.seeds:
            # A sweep asks how its cells compare with their base and with one another; stored arms are those of others.
            plain: dict[str, object] = {"gate.require": None, "repeats": 1}
            axes = {"model.name": model, "method": method, "training.seed": seed, "name": f"{task}-{method}"[:100]}
            changed = base.override(plain | sweep.changes_for(choice, model, method) | axes)
            # A worker may stand in another folder.
            whole = parse_experiment(anchor(changed.model_dump(), Path.cwd()), where=f"{task}, {model}, {method}")
            require_names(whole)
            cells.append(Cell(task=task, model=model, method=method, seed=seed, experiment=whole))
    return Group(task=task, model=model, cells=tuple(cells))


def count_cells(groups: Sequence[Group]) -> int:
    """How many cells there are."""
    return sum(len(group.cells) for group in groups)
