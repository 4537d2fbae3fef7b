"""The methods of one experiment side by side: what each brought, what it took, and which really differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.metrics.metric import Table
from harness.pairs import Pair, compare_pairs
from harness.report.wording import say_bytes, say_count, say_number
from harness.tasks import TASKS

if TYPE_CHECKING:
    from harness.experiment import Run

TITLES = ("method", "tuned", "delta", "interval", "trained", "time", "memory", "on disk", "verdict")
NARROW = tuple(title for title in TITLES if title != "tuned")
"""The columns that 80 characters have room for; the title says what the base scored."""
PAIR_TITLES = ("pair", "difference", "interval", "p (adj.)", "better")


def tabulate_methods(runs: Sequence[Run], skipped: Mapping[str, str]) -> tuple[Table, ...]:
    """The tables of the methods, of their pairs, and of those that do not apply.

    Args:
        runs: a run for each method, on the same rows.
        skipped: method to the reason why it was not run.
    """
    experiment, base = runs[0].experiment, runs[0].base
    headline = TASKS[experiment.task].headline
    arms = {run.experiment.way: (run.tuned, *run.others) for run in runs}
    found = [
        Table(
            title=f"{experiment.task}, {base.manifest.model.name}: {headline} on {len(base.rows)} rows, "
            f"base {say_number(base.manifest.scores[headline])}",
            columns=TITLES,
            rows=tuple(_describe(run, headline) for run in runs),
        )
    ]
    if pairs := compare_pairs(arms, headline, experiment.gate):
        seeds = "one seed (repeats asks more)" if experiment.repeats == 1 else f"{experiment.repeats} seeds"
        title = (
            f"Pairs, over the rows of {seeds}: p is adjusted for all {len(pairs)} (sign flips, max-T); "
            f"better at {experiment.gate.level:g}"
        )
        found.append(Table(title=title, columns=PAIR_TITLES, rows=tuple(map(_describe_pair, pairs))))
    found += [table for run in runs for table in run.method_tables]
    if warned := tuple((run.experiment.method, warning) for run in runs for warning in run.warnings):
        found.append(Table(title="Warnings", columns=("method", "warning"), rows=warned))
    if skipped:
        reasons = dict.fromkeys(skipped.values())
        rows = tuple((", ".join(name for name in skipped if skipped[name] == why), why) for why in reasons)
        found.append(Table(title="Not run", columns=("method", "reason"), rows=rows))
    return tuple(found)


def _describe(run: Run, headline: str) -> tuple[str, ...]:
    entry = next(entry for entry in run.verdict.comparisons.tuned_base.metrics if entry.metric == headline)
    cost = run.cost
    return (
        run.experiment.way,
        say_number(entry.candidate),
        say_number(entry.delta, sign="+"),
        f"{say_number(entry.low)} … {say_number(entry.high)}",
        say_count(run.trainable_parameters),
        f"{run.seconds['tune'] / run.experiment.repeats:.3g} s",
        "-" if cost is None else say_bytes(cost.peak_bytes),
        "-" if cost is None else say_bytes(cost.stored_bytes),
        str(run.verdict.comparisons.tuned_base.outcome),
    )


def _describe_pair(pair: Pair) -> tuple[str, ...]:
    return (
        f"{pair.one} - {pair.other}",
        f"{pair.delta:+.2f}",
        f"{say_number(pair.low)} … {say_number(pair.high)}",
        f"{pair.p:.4f}",
        pair.better or "not told apart",
    )
