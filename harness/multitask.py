"""Several tasks on one model: the settings of such a run; read from a preset or a file."""

from __future__ import annotations

import os
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Self

from pydantic import Field, model_validator

from harness.config import (
    Experiment,
    GateSettings,
    ModelSettings,
    anchor,
    load_experiment,
    parse_experiment,
    parse_settings,
    place_value,
    presets,
)
from harness.errors import SettingsError
from harness.registry import unknown_name
from harness.settings import Name, Seed, Settings
from harness.strategy_settings import ContinualSettings, JointSettings, TaskAdapterSettings

DEFAULT_PRESET = "multitask-t5"
FOLDER = resources.files("harness") / "presets" / "multitask"


class Multitask(Settings):
    """Everything that decides how a run over several tasks comes out."""

    name: Name
    strategy: str = "sequential"
    tasks: tuple[Experiment, ...] = Field(strict=False)
    """In the order in which they are learned; each has all the settings that it would have alone."""
    repeats: int = Field(1, ge=1, le=100)
    """How many times all of it is done, each with another seed."""
    seed: Seed = 42
    """Decides the order of the rows, and what is drawn for memory; of the first repeat."""
    joint: JointSettings = JointSettings()
    continual: ContinualSettings = ContinualSettings()
    adapters: TaskAdapterSettings = TaskAdapterSettings()
    gate: GateSettings = GateSettings()

    @model_validator(mode="after")
    def _tasks_are_several(self) -> Self:
        if len(self.tasks) < 2:  # noqa: PLR2004 - one task alone is another kind of run
            named = ", ".join(task.name for task in self.tasks) or "none"
            raise ValueError(f"several tasks are asked for, and named is {named}: name at least two")
        return self

    @model_validator(mode="after")
    def _tasks_are_told_apart(self) -> Self:
        names = Counter(task.name for task in self.tasks)
        if twice := [name for name, count in names.items() if count > 1]:
            raise ValueError(f"two tasks are called {twice[0]}: give each a name of its own")
        return self

    @model_validator(mode="after")
    def _tasks_share_a_model(self) -> Self:
        if len({task.model for task in self.tasks}) > 1:
            models = ", ".join(f"{task.name}: {task.model.name}" for task in self.tasks)
            raise ValueError(f"the tasks stand on different models ({models}): one model is to learn them all")
        return self

    def override(self, changes: Mapping[str, object]) -> Multitask:
        """A copy with some settings changed, each named by its path.

        A path of these settings changes them, as ``joint.mixing``; one that begins with a task's name changes that
        task, as ``translation.training.epochs``; any other changes all tasks, as ``training.epochs``.

        Raises:
            SettingsError: a value is wrong, or a name within a group is unknown.
            NameUnknownError: there is neither such a setting nor such a task.
        """
        tasks: dict[str, dict[str, object]] = {task.name: {} for task in self.tasks}
        own = self.model_dump(exclude={"tasks"})
        for path, value in changes.items():
            first, _, rest = path.partition(".")
            if _is_own(path):
                place_value(own, path, value)
            elif first in tasks and rest:
                tasks[first][rest] = value
            elif first not in Experiment.model_fields:
                raise unknown_name("setting", first, (*type(self).model_fields, *Experiment.model_fields, *tasks))
            else:
                for given in tasks.values():
                    given[path] = value
        changed = tuple(task.override(tasks[task.name]) for task in self.tasks)
        return parse_multitask({**own, "tasks": changed}, where="the command line")


def multitask_presets() -> tuple[str, ...]:
    """The names of the series of tasks that come with the package."""
    return tuple(sorted(file.name.removesuffix(".toml") for file in FOLDER.iterdir() if file.name.endswith(".toml")))


def load_multitask(choice: str = DEFAULT_PRESET, *, tasks: Sequence[str] | None = None) -> Multitask:
    """Read the settings of a run over several tasks.

    ``tasks`` is a list of names of embedded experiments (``classification`` stands for ``classification-full``) or of
    whole experiments (``[[tasks]]``); ``common`` holds what all of them have otherwise, and ``each.NAME`` what one has.

    Args:
        choice: a preset's name, or the path of a file.
        tasks: the names of the tasks to take, in this order; of a preset any embedded ones.

    Raises:
        SettingsError: the file cannot be read, or a setting is unknown or wrong.
        NameUnknownError: neither a preset, a file nor a task has this name.
    """
    if choice in multitask_presets():
        content = tomllib.loads((FOLDER / f"{choice}.toml").read_text(encoding="utf-8"))
        folder, where = Path(), f"preset {choice}"
    elif Path(choice).is_file():
        content, folder, where = _read(Path(choice)), Path(choice).parent, choice
    elif choice.endswith(".toml") or os.sep in choice:
        raise SettingsError(
            f"There is no file {choice}.",
            fix=f"Check the path, or name a preset: {', '.join(multitask_presets())}.",
        )
    else:
        raise unknown_name("series of tasks", choice, multitask_presets())
    common, each = content.pop("common", {}), content.pop("each", {})
    entries = content.get("tasks", [])
    if not isinstance(entries, list) or not all(isinstance(group, dict) for group in (common, each)):
        raise SettingsError(
            f'{where}: "tasks" is a list, "common" and "each" are tables.', fix="Mend that line; nothing was run."
        )
    found = [_read_task(entry, common, each, folder=folder, where=where) for entry in entries]
    if tasks is not None:
        found = [_choose(name, found, common, each, where=where) for name in tasks]
    return parse_multitask({**content, "tasks": tuple(found)}, where=where)


def parse_multitask(content: Mapping[str, object], *, where: str) -> Multitask:
    """Check the settings of a run over several tasks, whose tasks are checked already.

    Raises:
        SettingsError: a setting is unknown or wrong; the message names each one.
    """
    return parse_settings(Multitask, content, where=where)


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError, OSError) as error:
        raise SettingsError(f"{path} cannot be read: {error}.", fix="Mend that line; the format is TOML.") from error


def _read_task(
    entry: object, common: Mapping[str, Any], each: Mapping[str, Any], *, folder: Path, where: str
) -> Experiment:
    """One entry of ``tasks``: a name, or the settings of a whole experiment."""
    if isinstance(entry, str):
        content: dict[str, Any] = {**_embedded(entry).model_dump(), "name": entry}
        content = _merge(_merge(content, common), each.get(entry, {}))
    elif isinstance(entry, dict):
        name = entry.get("name", "")
        # Tasks of a series share a model, so none of them brings its own.
        content = _merge(_merge({"model": {"name": ModelSettings().name}}, common), entry)
        content = _merge(content, each.get(name, {}) if isinstance(name, str) else {})
        content = anchor(content, folder)
    else:
        raise SettingsError(f"{where}: a task is {entry!r}.", fix="Give a name, or the settings of an experiment.")
    return parse_experiment(content, where=f"{where}, task {content.get('name', 'without a name')}")


def _choose(
    name: str, found: Sequence[Experiment], common: Mapping[str, Any], each: Mapping[str, Any], *, where: str
) -> Experiment:
    """The task of that name: of the file, or else embedded."""
    own = next((task for task in found if task.name == name), None)
    return own or _read_task(name, common, each, folder=Path(), where=where)


def _embedded(task: str) -> Experiment:
    """The embedded experiment of a task."""
    if f"{task}-full" not in presets():
        raise unknown_name("task", task, tuple(name.removesuffix("-full") for name in presets() if "-full" in name))
    return load_experiment(f"{task}-full")


def _merge(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Two layers of settings, group by group."""
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        merged[name] = _merge(below, value) if isinstance(below, dict) and isinstance(value, dict) else value
    return merged


def _is_own(path: str) -> bool:
    """Whether a path names a setting of a run over several tasks, and not of its tasks."""
    first, _, rest = path.partition(".")
    if first == "tasks" or first not in Multitask.model_fields:
        return False
    if first not in Experiment.model_fields or not rest:
        return True
    # Both have settings of this name, as ``adapters``.
    group = Multitask.model_fields[first].annotation
    return isinstance(group, type) and issubclass(group, Settings) and rest in group.model_fields
