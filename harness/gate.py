"""The gate: from comparisons and requirements to a verdict and an exit code."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

import numpy as np
from numpy.typing import NDArray

from harness.comparison import Comparison, MetricDelta, Outcome
from harness.config import GateSettings
from harness.errors import HarnessError, IdentityError, UsageError
from harness.requirements import Requirement
from harness.statistics import Alternative, rows_needed, sign_flip_test
from harness.views import VIEWS


class ExitCode(IntEnum):
    """How the program ends."""

    PASSED = 0
    """Every requirement holds."""
    FAILED = 1
    """A requirement does not hold."""
    USAGE = 2
    """What was asked for cannot be done; nothing was written."""
    INCONCLUSIVE = 3
    """A requirement can be neither confirmed nor refuted: too few rows."""
    NOT_COMPARABLE = 4
    """A requirement compares with something that is missing or differs in rows, settings or metrics."""
    IDENTICAL = 5
    """Base and tuned are one model, or say the same in every row."""
    BROKEN = 6
    """The pipeline itself is broken: the loss is not finite, or the labels do not mean the targets."""
    INTERNAL = 70
    """A bug in the harness; the traceback is shown."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C."""


class Status(StrEnum):
    """What became of a requirement."""

    HOLDS = "holds"
    FAILS = "fails"
    UNDECIDED = "undecided"
    NOT_COMPARABLE = "not comparable"
    IDENTICAL = "identical"


EXIT_CODES = {
    Status.FAILS: ExitCode.FAILED,
    Status.IDENTICAL: ExitCode.IDENTICAL,
    Status.NOT_COMPARABLE: ExitCode.NOT_COMPARABLE,
    Status.UNDECIDED: ExitCode.INCONCLUSIVE,
    Status.HOLDS: ExitCode.PASSED,
}
"""The exit code of each status, the gravest first."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A requirement, what became of it, and why."""

    sentence: str
    status: Status
    reason: str


@dataclass(frozen=True, kw_only=True)
class Comparisons:
    """The comparisons of a run; those with the stored baseline are missing where nothing is stored."""

    tuned_base: Comparison
    tuned_stored: Comparison | None
    base_stored: Comparison | None

    @property
    def stored(self) -> tuple[Comparison, ...]:
        """Those with the stored baseline."""
        return tuple(comparison for comparison in (self.tuned_stored, self.base_stored) if comparison is not None)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The answer of a run.

    Args:
        comparisons: tuned against base, and both against the stored baseline where there is one.
        findings: one for each requirement.
    """

    comparisons: Comparisons = field(repr=False)
    findings: tuple[Finding, ...]

    def _repr_html_(self) -> str:
        """How it shows itself in a notebook."""
        return VIEWS["verdict"](self)

    @property
    def outcome(self) -> Outcome:
        """What tuned against base amounts to."""
        return self.comparisons.tuned_base.outcome

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the gravest finding; that all outputs of base and tuned are equal is always one."""
        statuses = {finding.status for finding in self.findings}
        if self.outcome is Outcome.IDENTICAL:
            statuses.add(Status.IDENTICAL)
        return next((code for status, code in EXIT_CODES.items() if status in statuses), ExitCode.NOT_COMPARABLE)

    @property
    def passed(self) -> bool:
        """Whether every requirement holds."""
        return self.exit_code is ExitCode.PASSED


def exit_code_of(error: HarnessError) -> ExitCode:
    """The exit code that belongs to an error."""
    if isinstance(error, UsageError):
        return ExitCode.USAGE
    return ExitCode.IDENTICAL if isinstance(error, IdentityError) else ExitCode.BROKEN


def decide(comparisons: Comparisons, requirements: Sequence[Requirement], settings: GateSettings) -> Verdict:
    """Judge every requirement."""
    findings = tuple(_find(requirement, comparisons, settings) for requirement in requirements)
    return Verdict(comparisons=comparisons, findings=findings)


def _find(requirement: Requirement, comparisons: Comparisons, settings: GateSettings) -> Finding:
    comparison = {
        "beat": comparisons.tuned_base,
        "no-regression": comparisons.tuned_stored,
        "no-drift": comparisons.base_stored,
    }[requirement.kind]
    if comparison is None:
        status, reason = Status.NOT_COMPARABLE, "no baseline is stored, so nothing was compared"
    elif comparison.outcome is Outcome.NOT_COMPARABLE:
        status, reason = Status.NOT_COMPARABLE, "different " + "; ".join(comparison.differences)
    elif requirement.kind == "beat":
        status, reason = _judge_gain(requirement, comparison, settings)
    elif requirement.kind == "no-regression":
        status, reason = _judge_regression(requirement, comparison, settings)
    else:
        status, reason = _judge_drift(requirement, comparison, settings)
    return Finding(sentence=requirement.sentence, status=status, reason=reason)


def _judge_gain(requirement: Requirement, comparison: Comparison, settings: GateSettings) -> tuple[Status, str]:
    if comparison.outcome is Outcome.IDENTICAL:
        return Status.IDENTICAL, f"all {comparison.rows} outputs are equal"
    entry = next(entry for entry in comparison.metrics if entry.metric == requirement.metric)
    seen = f"{entry.delta:+.2f} points"
    if entry.low > requirement.points:
        return Status.HOLDS, seen
    if entry.high < max(requirement.points, settings.smallest_effect):
        return Status.FAILS, f"{seen}, at most {entry.high:+.2f}"
    return Status.UNDECIDED, f"{seen}; {_too_few(comparison, entry, requirement.points, settings)}"


def _judge_regression(requirement: Requirement, comparison: Comparison, settings: GateSettings) -> tuple[Status, str]:
    if comparison.outcome is Outcome.IDENTICAL:
        return Status.HOLDS, f"all {comparison.rows} outputs equal the stored ones"
    worst = min(comparison.metrics, key=lambda entry: entry.delta)
    seen = f"{worst.metric} {worst.delta:+.2f} points"
    if _moved(comparison.deltas + requirement.points, "less", settings.level, settings):
        return Status.FAILS, seen
    allowance = requirement.points or settings.smallest_effect
    if all(entry.low > -allowance for entry in comparison.metrics):
        return Status.HOLDS, seen
    return Status.UNDECIDED, f"{seen}; {_too_few(comparison, worst, -allowance, settings)}"


def _judge_drift(requirement: Requirement, comparison: Comparison, settings: GateSettings) -> tuple[Status, str]:
    if not comparison.same_weights:
        return Status.FAILS, "the base has other weights than the stored one"
    if comparison.outcome is Outcome.IDENTICAL:
        return Status.HOLDS, f"all {comparison.rows} outputs equal the stored ones"
    furthest = max(comparison.metrics, key=lambda entry: abs(entry.delta))
    seen = f"{comparison.changed} of {comparison.rows} outputs changed, {furthest.metric} {furthest.delta:+.2f} points"
    points, deltas, half = requirement.points, comparison.deltas, settings.level / 2
    if _moved(deltas - points, "greater", half, settings) or _moved(deltas + points, "less", half, settings):
        cause = f" ({', '.join(comparison.circumstances)})" if comparison.circumstances else ""
        return Status.FAILS, seen + cause
    # Every interval must lie inside the allowance; as all of them must, no adjustment is due (Berger 1982,
    # "Multiparameter Hypothesis Testing and Acceptance Sampling"). That nothing at all changed can never be proven, so
    # without an allowance the smallest effect that matters takes its place.
    allowance = points or settings.smallest_effect
    if all(-allowance < entry.low and entry.high < allowance for entry in comparison.metrics):
        return Status.HOLDS, seen
    return (
        Status.UNDECIDED,
        f"{seen}; {_too_few(comparison, furthest, math.copysign(allowance, furthest.delta), settings)}",
    )


def _moved(deltas: NDArray[np.float64], alternative: Alternative, level: float, settings: GateSettings) -> bool:
    """Whether any metric moved in this direction, all tested together."""
    test = sign_flip_test(deltas, alternative=alternative, level=level, flips=settings.flips)
    return min(test.p) <= level


def _too_few(comparison: Comparison, entry: MetricDelta, bound: float, settings: GateSettings) -> str:
    """How many rows would tell the delta from the bound; where it lies close by, how many show the smallest effect."""
    effect = max(abs(entry.delta - bound), settings.smallest_effect)
    needed = rows_needed(comparison.column(entry.metric), comparison.critical, effect)
    return f"{comparison.rows} rows are too few: to see {effect:.2f} points takes about {needed:,}"
