"""The settings of each strategy that has some of its own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from harness.settings import Count, Settings


class JointSettings(Settings):
    """All tasks at once: which rows a step sees, and what each task's loss counts."""

    mixing: Literal["proportional", "temperature", "equal"] = "proportional"
    """A task's share of the rows that are trained on: by its size, by size to the power 1 / temperature, or even."""
    temperature: float = Field(2.0, ge=1, le=100)
    """Of ``mixing = "temperature"``: 1 is proportional, and the higher the more even (Raffel et al. 2020, 3.5.2)."""
    batches: Literal["one-task", "mixed"] = "mixed"
    """Whether the rows of a batch are of one task or of several."""
    weights: dict[str, float] = Field(default_factory=dict)
    """What a task's loss is multiplied by, by the task's name; 1 where it is not named."""


class ContinualSettings(Settings):
    """One task after another, holding on to what was learned: replay, EWC, or both."""

    replay: int = Field(0, ge=0, le=10_000_000)
    """How many training rows of earlier tasks are kept in memory, over all of them, and trained on again."""
    ewc: float = Field(0.0, ge=0)
    """What the penalty of elastic weight consolidation is multiplied by (lambda of Kirkpatrick et al. 2017)."""
    fisher_rows: Count = 64
    """Of how many training rows of a task the Fisher information is estimated."""


class TaskAdapterSettings(Settings):
    """One adapter a task on a frozen body."""

    method: Literal["lora", "adapters"] = "lora"
    """What an adapter is; its settings are those of the method."""
