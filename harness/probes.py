"""Sentences that speak of something else than arms: of checks of the pipeline, and of speed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from harness.generation.speed import SpeedRatio
from harness.requirements import Requirement, Status

NAMED = 3
"""How many failed checks are named."""


class Named(Protocol):
    """Something with a name."""

    @property
    def name(self) -> str:
        """The name."""


class CheckResult(Protocol):
    """What became of one check."""

    @property
    def check(self) -> Named:
        """The check."""

    @property
    def status(self) -> str:
        """What became of it, in a word."""

    @property
    def seen(self) -> str:
        """What was seen, with numbers."""

    @property
    def remedy(self) -> str:
        """What to do about it; nothing where the check passed."""


class CheckReport(Protocol):
    """What became of all checks of one pipeline."""

    @property
    def passed(self) -> bool:
        """Whether no check failed and at least one passed."""

    @property
    def results(self) -> Sequence[CheckResult]:
        """One for each check."""

    @property
    def bad(self) -> Sequence[CheckResult]:
        """Those that need attention."""


def judge_checks(report: CheckReport | None) -> tuple[Status, str]:
    """Whether every check passed. That none ran, or none had anything to look at, is never a pass."""
    if report is None:
        return Status.NOT_COMPARABLE, "no check was run"
    count = len(report.results)
    if report.passed:
        return Status.HOLDS, f"{count} checks"
    if not report.bad:
        return Status.NOT_COMPARABLE, f"of {count} checks none had anything to look at"
    named = "; ".join(f"{result.check.name} {result.status} ({result.seen})" for result in report.bad[:NAMED])
    more = f"; and {len(report.bad) - NAMED} more" if len(report.bad) > NAMED else ""
    return Status.FAILS, f"{len(report.bad)} of {count} checks did not pass: {named}{more}"


def judge_speed(requirement: Requirement, speed: SpeedRatio | None) -> tuple[Status, str]:
    """Whether the engine is fast enough: its median is, or every single round is too slow."""
    if speed is None:
        return Status.NOT_COMPARABLE, "nothing was measured"
    seen = (
        f"{speed.median:.2f} of plain generate ({min(speed.ratios):.2f} to {max(speed.ratios):.2f} in "
        f"{len(speed.ratios)} rounds of {speed.rows} rows, taken in turns)"
    )
    if speed.median >= requirement.share:
        return Status.HOLDS, seen
    if max(speed.ratios) < requirement.share:
        return Status.FAILS, seen
    return Status.UNDECIDED, f"{seen}; the rounds lie on both sides: measure on a quieter machine"
