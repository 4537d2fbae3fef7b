"""Several tasks on one model: the settings of such a run."""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Self

from pydantic import Field, model_validator

from harness.config import Experiment, GateSettings, load_experiment
from harness.settings import Name, Settings
from harness.strategy_settings import ContinualSettings, JointSettings, TaskAdapterSettings


class Multitask(Settings):
    """Everything that decides how a run over several tasks comes out."""

    name: Name
    strategy: str = "sequential"
    tasks: tuple[Experiment, ...] = Field(strict=False, min_length=2)
    """In the order in which they are learned; each has all the settings that it would have alone."""
    repeats: int = Field(1, ge=1, le=100)
    """How many times all of it is done, each with another seed."""
    seed: int = Field(42, ge=0, lt=2**32)
    """Decides the order of the rows, and what is drawn for memory; of the first repeat."""
    joint: JointSettings = JointSettings()
    continual: ContinualSettings = ContinualSettings()
    adapters: TaskAdapterSettings = TaskAdapterSettings()
    gate: GateSettings = GateSettings()

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


def load_multitask(preset: str, *, tasks: Sequence[str] | None = None) -> Multitask:
    """Read the settings of a run over several tasks.

    A task is named by its embedded experiment (``classification`` stands for ``classification-full``), and ``common``
    holds what all of them have otherwise.
    """
    text = (resources.files("harness") / "presets" / "multitask" / f"{preset}.toml").read_text(encoding="utf-8")
    content: dict[str, Any] = tomllib.loads(text)
    common = content.pop("common", {})
    each = content.pop("each", {})
    content["tasks"] = [
        load_experiment(f"{task}-full").override({"name": task, **_flatten(common), **_flatten(each.get(task, {}))})
        for task in (tasks or content["tasks"])
    ]
    return Multitask.model_validate(content)


def _flatten(content: Mapping[str, Any], before: str = "") -> dict[str, object]:
    """Nested settings as paths."""
    flat: dict[str, object] = {}
    for name, value in content.items():
        flat |= _flatten(value, f"{before}{name}.") if isinstance(value, dict) else {f"{before}{name}": value}
    return flat
