"""From a comparison and a sentence about it to what became of the sentence."""

from __future__ import annotations

import math

from harness.arm import TOLERANCE
from harness.comparison import Comparison, MetricDelta, Outcome
from harness.config import GateSettings
from harness.requirements import Requirement, Status


def judge_sentence(
    requirement: Requirement, comparison: Comparison | None, settings: GateSettings
) -> tuple[Status, str]:
    """Judge a sentence that speaks of a comparison; returns what became of it, and why.

    Args:
        requirement: the sentence.
        comparison: of the arms that it speaks of; nothing where no baseline is stored, and that is never a pass.
        settings: level and smallest effect.
    """
    if comparison is None:
        return Status.NOT_COMPARABLE, "no baseline is stored, so nothing was compared"
    if comparison.outcome is Outcome.NOT_COMPARABLE:
        return Status.NOT_COMPARABLE, "different " + "; ".join(comparison.differences)
    if requirement.kind == "beat":
        return _judge_gain(requirement, comparison, settings)
    if requirement.kind == "no-regression":
        return _judge_regression(requirement, comparison, settings)
    return _judge_drift(requirement, comparison, settings)


def _judge_gain(requirement: Requirement, comparison: Comparison, settings: GateSettings) -> tuple[Status, str]:
    if comparison.outcome is Outcome.IDENTICAL:
        return Status.IDENTICAL, f"all {comparison.rows} outputs are equal"
    entry = next(entry for entry in comparison.metrics if entry.metric == requirement.metric)
    seen = f"{_say_delta(entry)}{_say_seeds(entry)}"
    low, high = entry.gain_interval
    if low > requirement.points * entry.point:
        return Status.HOLDS, seen
    if high < max(requirement.points, settings.smallest_effect) * entry.point:
        status = Status.NO_CHANGE if comparison.outcome is Outcome.NO_CHANGE else Status.FAILS
        at_most = f"at least {entry.low:+.2f}" if entry.lower_is_better else f"at most {entry.high:+.2f}"
        return status, f"{seen}, {at_most}"
    return Status.UNDECIDED, f"{seen}; {_too_few(comparison, entry, requirement.points, settings)}"


def _judge_regression(requirement: Requirement, comparison: Comparison, settings: GateSettings) -> tuple[Status, str]:
    if comparison.outcome is Outcome.IDENTICAL:
        return Status.HOLDS, f"all {comparison.rows} outputs equal the stored ones"
    worst = min(comparison.metrics, key=lambda entry: entry.gain / entry.point)
    seen = f"{worst.metric} {_say_delta(worst)}{_say_seeds(worst)}"
    if min(comparison.evidence.p_values("less", shift=requirement.points)) <= settings.level:
        return Status.FAILS, seen + _say_cause(comparison)
    allowance = requirement.points or settings.smallest_effect
    if all(entry.gain_interval[0] > -allowance * entry.point for entry in comparison.metrics):
        return Status.HOLDS, seen
    return Status.UNDECIDED, f"{seen}; {_too_few(comparison, worst, -allowance, settings)}"


def _judge_drift(requirement: Requirement, comparison: Comparison, settings: GateSettings) -> tuple[Status, str]:
    if not comparison.same_weights:
        return Status.FAILS, "the base has other weights than the stored one"
    if comparison.outcome is Outcome.IDENTICAL and not _moved(comparison):
        return Status.HOLDS, f"all {comparison.rows} outputs equal the stored ones"
    furthest = max(comparison.metrics, key=lambda entry: abs(entry.delta / entry.point))
    seen = f"{comparison.changed} of {comparison.rows} outputs changed, {furthest.metric} {_say_delta(furthest)}"
    points, half, evidence = requirement.points, settings.level / 2, comparison.evidence
    rose, fell = evidence.p_values("greater", shift=-points), evidence.p_values("less", shift=points)
    if min(*rose, *fell) <= half:
        return Status.FAILS, seen + _say_cause(comparison)
    # Every interval must lie inside the allowance; as all of them must, no adjustment is due (Berger 1982,
    # "Multiparameter Hypothesis Testing and Acceptance Sampling"). That nothing at all changed can never be proven, so
    # without an allowance the smallest effect that matters takes its place.
    allowance = points or settings.smallest_effect
    if all(max(-entry.low, entry.high) < allowance * entry.point for entry in comparison.metrics):
        return Status.HOLDS, seen
    return (
        Status.UNDECIDED,
        f"{seen}; {_too_few(comparison, furthest, math.copysign(allowance, furthest.gain), settings)}",
    )


def _moved(comparison: Comparison) -> bool:
    """Whether a row's score is another, more than by rounding: then a metric changed, though its signature did not."""
    return any(
        float(abs(comparison.column(entry.metric)).max()) > TOLERANCE * entry.point for entry in comparison.metrics
    )


def _say_cause(comparison: Comparison) -> str:
    """Which versions, devices and settings are others than when the baseline was stored."""
    return f" ({', '.join(comparison.circumstances)})" if comparison.circumstances else ""


def _say_delta(entry: MetricDelta) -> str:
    """A difference; of a metric without percent points its percents as well, for the sentences speak of those."""
    return (
        f"{entry.delta:+.2f} ({entry.delta / entry.point:+.2f} %)" if entry.relative else f"{entry.delta:+.2f} points"
    )


def _say_seeds(entry: MetricDelta) -> str:
    """Every seed's delta: the best of several is never told alone."""
    if len(entry.by_seed) == 1:
        return ""
    return f" over {len(entry.by_seed)} seeds ({', '.join(f'{delta:+.2f}' for delta in entry.by_seed)})"


def _too_few(comparison: Comparison, entry: MetricDelta, bound: float, settings: GateSettings) -> str:
    """How many rows would tell the delta from the bound, in points; close by, what the smallest effect takes."""
    effect = max(abs(entry.gain / entry.point - bound), settings.smallest_effect)
    needed = comparison.evidence.rows_needed(comparison.position(entry.metric), effect * entry.point)
    told = f"{effect:.2f} {'%' if entry.relative else 'points'}"
    if needed is None:
        return f"{comparison.seeds} seeds are too few: their noise hides {told}, however many rows"
    return f"{comparison.rows} rows are too few: to see {told} would take about {needed:,} rows"
