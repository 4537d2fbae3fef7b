"""The settings of a sweep: read from ``sweep.toml``, or from the command line."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from harness.config import anchor, parse_settings, place_value
from harness.errors import SettingsError
from harness.settings import Name, Seed, Settings

DEFAULT_FILE = Path("sweep.toml")
TASKS_OPTION = "--tasks summarization,ner"
"""How the command line names tasks, for error messages."""
Names = Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(min_length=1, strict=False)]
Changes = dict[str, Any]
TAKEN = {
    "task": "tasks",
    "method": "methods",
    "model.name": "models",
    "training.seed": "seeds",
    "repeats": "seeds",
    "name": "name",
}
"""Settings of an experiment that the sweep itself decides, and by what."""


class Sweep(Settings):
    """Every model with every method on every task, once for each seed."""

    name: Name = "sweep"
    tasks: Names
    """Names of tasks, each with its embedded experiment, or files like ``harness.toml``."""
    models: Names | None = None
    """``tiny-t5``, a checkpoint folder, a hub id; by default each task's own."""
    methods: Names = ("full",)
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, strict=False)] = (42,)
    """Of training; the rows are the same for all."""
    set: Changes = Field(default_factory=dict)
    """Settings of every cell: a name with dots, or groups, as ``[set.training]``."""
    only: dict[str, Changes] = Field(default_factory=dict)
    """Settings of the cells of one task, model or method, as ``[only.lora.training]``; later ones win."""
    retries: int = Field(1, ge=0, le=100)
    """How often a cell that failed is run again; one that was used wrongly is not."""
    threads: int = Field(1, ge=1, le=1024)
    """Of each cell. They decide how sums are rounded, so cells of another number of threads are other cells."""
    gpus: float = Field(0.0, ge=0, le=64)
    """What a cell takes of a cluster's GPUs, as 0.5; on one machine the cells share what there is."""

    @model_validator(mode="after")
    def _nothing_stands_twice(self) -> Self:
        for axis in ("tasks", "models", "methods", "seeds"):
            values = getattr(self, axis) or ()
            if twice := sorted({str(value) for value in values if values.count(value) > 1}):
                raise ValueError(f"{axis} names {', '.join(twice)} twice")
        return self

    @model_validator(mode="after")
    def _only_speaks_of_what_is_swept(self) -> Self:
        known = (*self.tasks, *(self.models or ()), *self.methods)
        if strange := [name for name in self.only if name not in known]:
            raise ValueError(f"only speaks of {', '.join(strange)}, and swept are {', '.join(known)}")
        return self

    @model_validator(mode="after")
    def _axes_are_not_set(self) -> Self:
        for changes in (self.set, *self.only.values()):
            for path in flatten(changes):
                if path in TAKEN:
                    raise ValueError(f"{path} is set, and {TAKEN[path]} of the sweep decides it")
        return self

    def changes_for(self, *named: str) -> Changes:
        """What is set for the cells of a task, a model and a method."""
        found = flatten(self.set)
        for name, changes in self.only.items():
            if name in named:
                found |= flatten(changes)
        return found


def flatten(changes: Mapping[str, Any]) -> Changes:
    """Settings by their paths: groups within groups become names with dots."""
    return dict(_walk(changes, ""))


def _walk(changes: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    for name, value in changes.items():
        if isinstance(value, Mapping):
            yield from _walk(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value


def load_sweep(choice: str | None, given: Mapping[str, object], changes: Mapping[str, object]) -> Sweep:
    """Read a sweep.

    Args:
        choice: a file like ``sweep.toml``; by default that of this folder, or else nothing.
        given: settings of the sweep that take the place of the file's.
        changes: settings of every cell, by their paths; they win over all others.

    Raises:
        SettingsError: there is no such file, it cannot be read, or a setting is unknown or wrong.
    """
    if choice is None and os.path.lexists(DEFAULT_FILE):
        choice = str(DEFAULT_FILE)
    if choice is None and "tasks" not in given:
        raise SettingsError(
            f"There is no {DEFAULT_FILE} here, and no tasks are named.", fix=f"Write one, or name them: {TASKS_OPTION}."
        )
    content = {} if choice is None else _read(Path(choice))
    content |= given
    if changes:
        content["set"] = {**flatten(content.get("set", {})), **changes}
        # What the command line says, it says of all cells.
        content["only"] = {
            name: {path: value for path, value in flatten(some).items() if path not in changes}
            for name, some in content.get("only", {}).items()
        }
    return parse_settings(Sweep, content, where=choice or "the command line")


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise SettingsError(f"There is no file {path}.", fix=f"Check the path, or name tasks: {TASKS_OPTION}.")
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError, OSError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.", fix="Mend that line; the format is TOML.") from error
    only = content.get("only", {})
    groups = [content.get("set", {}), only, *(only.values() if isinstance(only, dict) else ())]
    if not all(isinstance(group, dict) for group in groups):
        raise SettingsError(
            f"{path}: set and only hold settings by name.", fix="Write them as tables, as [set] and [only.lora]."
        )
    if "set" in content:
        content["set"] = _place(content["set"], path.parent)
    found: dict[object, object] = {}
    for axis in ("tasks", "models"):
        if isinstance(names := content.get(axis), list):
            content[axis] = [_find(name, path.parent) for name in names]
            found |= {name: place for name, place in zip(names, content[axis], strict=True) if isinstance(name, str)}
    if "only" in content:
        content["only"] = {found.get(name, name): _place(changes, path.parent) for name, changes in only.items()}
    return content


def _place(changes: Mapping[str, Any], folder: Path) -> Changes:
    """Settings as nested groups, their paths meant from a folder."""
    content: Changes = {}
    for path, value in flatten(changes).items():
        place_value(content, path, value)
    return anchor(content, folder)


def _find(name: object, folder: Path) -> object:
    """A path is meant from the file's folder; what is not there may be a name, and stays as it is."""
    return str(folder / name) if isinstance(name, str) and name and (folder / name).exists() else name
