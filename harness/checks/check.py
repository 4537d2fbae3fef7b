"""What a check is, and how it ends."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from harness.checks.evidence import Evidence

Stage = Literal[
    "data", "tokenization", "labels", "training", "peft", "rlhf", "multitask", "generation", "metric", "comparison"
]


class Status(StrEnum):
    """How a check ended."""

    PASSED = "passed"
    FAILED = "failed"
    """The pipeline does something else than it should."""
    ERROR = "error"
    """A part of the pipeline raised, returned something of the wrong kind, or did not come back."""
    SKIPPED = "skipped"
    """A part that the check needs was not given, or it does not apply."""
    EXPECTED = "expected failure"
    """It failed, and the user had said so."""
    STALE = "stale expected failure"
    """It passed although the user had said that it fails."""


class CheckFailed(Exception):  # noqa: N818 - it reports on the pipeline, the check itself worked
    """A check found that something is wrong.

    Args:
        seen: what was seen, with numbers.
        suspects: the likely defects, the likeliest first; names as in the catalogue.
        remedy: what to do about it.
    """

    def __init__(self, seen: str, *, suspects: tuple[str, ...], remedy: str) -> None:
        super().__init__(seen)
        self.seen = seen
        self.suspects = suspects
        self.remedy = remedy


class CheckSkipped(Exception):  # noqa: N818 - skipping is no error
    """A check does not apply; the message says why."""


class PartError(Exception):
    """A part of the pipeline returned something of the wrong kind; the message says what is expected."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """A named, black-box check.

    Args:
        name: words joined by dashes.
        claim: what holds where it passes, one line.
        family: the family of checks it belongs to, I0 to I15.
        stage: the part of the pipeline that it looks at.
        needs: the parts without which it is skipped.
        run: does it; returns what was seen, in a few words.
    """

    name: str
    claim: str
    family: str
    stage: Stage
    needs: tuple[str, ...]
    run: Callable[[Evidence], str] = field(repr=False)

    def __reduce__(self) -> tuple[object, ...]:
        """Travel to another process by place: in its module, the name of the function stands for the check."""
        return _find_check, (self.run.__module__, self.run.__qualname__)


def _find_check(module: str, name: str) -> Check:
    found: Check = getattr(importlib.import_module(module), name)
    return found


def check(family: str, stage: Stage, *, needs: tuple[str, ...]) -> Callable[[Callable[[Evidence], str]], Check]:
    """Make a check of a function; its name and the first line of its docstring become the check's."""

    def make(function: Callable[[Evidence], str]) -> Check:
        claim = next(iter((function.__doc__ or "").strip().splitlines()), "").rstrip(".")
        name = function.__name__.strip("_").replace("_", "-")
        return Check(name=name, claim=claim, family=family, stage=stage, needs=needs, run=function)

    return make


@dataclass(frozen=True, kw_only=True)
class Result:
    """How one check ended on one pipeline.

    Args:
        check: the check.
        status: how it ended.
        seen: what was seen, or why it was skipped.
        suspects: the likely defects, the likeliest first; for a failure only.
        remedy: what to do; for a failure only.
        traceback: the user's own traceback; for an error only.
        seconds: how long it took.
    """

    check: Check
    status: Status
    seen: str
    suspects: tuple[str, ...] = ()
    remedy: str = ""
    traceback: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        lines = [f"{self.check.name} {self.status}: {self.seen}"]
        if self.suspects:
            lines.append(f"  likely: {', '.join(self.suspects)}")
        if self.remedy:
            lines.append(f"  what to do: {self.remedy}")
        if self.traceback:
            lines.append("  " + self.traceback.rstrip().replace("\n", "\n  "))
        return "\n".join(lines)
