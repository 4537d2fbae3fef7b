"""The words and numbers that every report shares."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.comparison import Outcome
from harness.gate import Status

if TYPE_CHECKING:
    from harness.comparison import Comparison, MetricDelta
    from harness.experiment import Run

MARKS = {
    Status.HOLDS: "✓",
    Status.FAILS: "✗",
    Status.NO_CHANGE: "✗",
    Status.UNDECIDED: "?",
    Status.NOT_COMPARABLE: "✗",
    Status.IDENTICAL: "✗",
}
"""A sign for each status of a requirement."""


def column_titles(run: Run) -> tuple[str, ...]:
    """The head of the table of metrics."""
    confidence = 100 * (1 - run.experiment.gate.level)
    return ("metric", "base", "tuned", "delta", f"{confidence:g} % interval", "p (adj.)", "detectable")


def metric_cells(entry: MetricDelta) -> tuple[str, ...]:
    """One line of the table of metrics."""
    return (
        entry.metric,
        f"{entry.against:.2f}",
        f"{entry.candidate:.2f}",
        f"{entry.delta:+.2f}",
        f"{say_number(entry.low)} … {say_number(entry.high)}",
        f"{entry.p:.4f}",
        say_number(entry.detectable),
    )


def say_number(value: float) -> str:
    """Two decimals, or a dash where the rows are too few for a number."""
    return f"{value:.2f}" if math.isfinite(value) else "-"


def say_stored(comparison: Comparison) -> str:
    """A comparison with a stored arm in one line."""
    if comparison.differences:
        return f"{comparison.title}: not comparable, different {'; '.join(comparison.differences)}"
    if comparison.changed == 0:
        return f"{comparison.title}: all {comparison.rows} outputs are the same{_say_circumstances(comparison)}"
    furthest = max(comparison.metrics, key=lambda entry: abs(entry.delta))
    return (
        f"{comparison.title}: {comparison.outcome} ({comparison.changed} of {comparison.rows} outputs changed; "
        f"{furthest.metric} {furthest.delta:+.2f}, needs {say_number(furthest.detectable)} to be seen)"
        f"{_say_circumstances(comparison)}"
    )


def _say_circumstances(comparison: Comparison) -> str:
    """Which settings, versions and devices are others than when the arm was stored."""
    return f"; changed since: {', '.join(comparison.circumstances)}" if comparison.circumstances else ""


def what_to_do(run: Run) -> str:
    """The one next step."""
    verdict, name = run.verdict, run.experiment.name
    statuses = {finding.status for finding in verdict.findings}
    if verdict.outcome is Outcome.IDENTICAL:
        return "Training changed no word: look at losses.jsonl, then raise learning rate or epochs."
    if statuses & {Status.FAILS, Status.NO_CHANGE}:
        return "Compare the outputs row by row: the rows that moved most stand in report.md of the run's folder."
    if Status.NOT_COMPARABLE in statuses:
        return f"Look at the outputs; if they are what you want, store them: harness baseline accept {name}"
    if Status.UNDECIDED in statuses:
        return "Raise data.eval_rows; how many rows it takes stands beside each requirement."
    if verdict.comparisons.stored and all(comparison.changed == 0 for comparison in verdict.comparisons.stored):
        return "Nothing to do."
    why = ' --why "..."' if verdict.comparisons.stored else ""
    return f"To store this run as the baseline: harness baseline accept {name}{why}"
