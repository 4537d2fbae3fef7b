"""The words and numbers that every report shares; each reads the facts of a run."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from harness.comparison import Outcome, size_point
from harness.gate import Status

if TYPE_CHECKING:
    from harness.metrics.metric import Table
    from harness.report.facts import Facts

MARKS: dict[str, str] = {
    Status.HOLDS: "✓",
    Status.FAILS: "✗",
    Status.NO_CHANGE: "✗",
    Status.UNDECIDED: "?",
    Status.NOT_COMPARABLE: "✗",
    Status.IDENTICAL: "✗",
}
"""A sign for each status of a requirement."""

LEGEND = (
    "p is two-sided and adjusted for all metrics (sign flips, max-T). Each interval is of its metric alone. "
    "Detectable is the smallest true difference that these rows show with 80 % power. All in percent points; "
    "a perplexity is in its own unit, and where a requirement speaks of points, in percents."
)

HUGE = 100_000
"""From here on two digits and a power of ten do: nothing sensible has such a perplexity."""
UNITS = ((10**9, "G"), (10**6, "M"), (10**3, "k"))
WHOLE = 1000
"""From here on numbers are shown without decimals: a table must fit 80 columns."""

NUMERIC = "0123456789+-"
"""What a number begins with; a dash stands for one that is not defined."""


def has_numbers(table: Table, place: int) -> bool:
    """Whether a column holds numbers alone, which stand to the right."""
    return all(str(line[place])[:1] in NUMERIC for line in table.rows)


def column_titles(level: float | None, against: str = "base", candidate: str = "tuned") -> tuple[str, ...]:
    """The head of the table of metrics; the intervals' level, where it is known."""
    interval = "interval" if level is None else f"{100 * (1 - level):g} % interval"
    return ("metric", against, candidate, "delta", interval, "p (adj.)", "detectable")


def metric_cells(entry: Facts) -> tuple[str, ...]:
    """One line of the table of metrics."""
    low, high = entry["interval"]
    return (
        entry["metric"],
        say_number(entry["against"]),
        say_number(entry["candidate"]),
        say_number(entry["delta"], sign="+"),
        f"{say_number(low)} … {say_number(high)}",
        f"{entry['p_adjusted']:.4f}",
        say_number(entry["smallest_detectable"]),
    )


def say_number(value: float | None, *, sign: str = "") -> str:
    """Two decimals, none from a thousand on, as a perplexity may be; a dash where the rows are too few for a number."""
    if value is None:
        return "-"
    if abs(value) >= HUGE:
        return f"{value:{sign}.2g}"
    return f"{value:{sign}.{2 if abs(value) < WHOLE else 0}f}"


def say_count(count: int) -> str:
    """A whole number with at most three digits before the point, as 1.64 M."""
    rounded = float(f"{count:.3g}")
    for size, unit in UNITS:
        if rounded >= size:
            whole = len(str(int(rounded / size)))
            return f"{rounded / size:.{3 - whole}f} {unit}"
    return str(count)


def say_bytes(count: int) -> str:
    """Bytes in the unit that leaves one to three digits before the point, as 6.56 MB."""
    said = say_count(count)
    return f"{said}{'' if ' ' in said else ' '}B"


def say_training(training: Facts) -> list[str]:
    """What was learned from, what moved and what it took, a sentence each."""
    first, last = training["first_loss"], training["last_loss"]
    steps = f"{training['steps']:,} steps, loss {first:.2f} → {last:.2f}" if training["steps"] else "no steps"
    said = [f"{training['rows']} rows, {steps}, {training['trainable_parameters']:,} trainable parameters."]
    if held := training.get("held_out_losses"):
        best = min(range(len(held)), key=lambda epoch: math.inf if held[epoch] is None else held[epoch])
        losses = [say_number(loss) + " (kept)" * (epoch == best) for epoch, loss in enumerate(held)]
        said.append(f"Held-out loss after each epoch: {', '.join(losses)}.")
    # Runs that earlier versions wrote do not know.
    if "peak_bytes" in training:
        peak, stored = say_bytes(training["peak_bytes"]), say_bytes(training["stored_bytes"])
        said.append(f"Peak memory {peak} above what was taken before; {stored} to store beside the base.")
    return said


def say_headline(comparison: Facts, headline: str | None) -> str:
    """What tuned against base amounts to, in a plain sentence.

    Args:
        comparison: tuned against base.
        headline: the task's score that is named where no other moved more surely.
    """
    rows = comparison["rows"]
    if comparison["outcome"] == Outcome.NOT_COMPARABLE:
        return f"Base and tuned cannot be compared: different {'; '.join(comparison['differences'])}."
    if comparison["outcome"] == Outcome.IDENTICAL:
        return f"The tuned model says the same as its base in all {rows} rows."
    if comparison["outcome"] == Outcome.NO_CHANGE:
        return (
            f"The tuned model is neither better nor worse than its base, by any difference that matters ({rows} rows)."
        )
    if comparison["outcome"] == Outcome.INCONCLUSIVE:
        return f"{rows} rows are too few to tell whether the tuned model is better than its base."
    worse = comparison["outcome"] == Outcome.REGRESSED
    moved = [entry for entry in comparison["metrics"] if is_loss(entry) == worse]
    # The surest; of equals the headline, or else the first.
    entry = min(moved, key=lambda entry: (entry["p_adjusted"], entry["metric"] != headline))
    low, high = entry["interval"]
    between = "" if low is None else f" (between {say_number(low, sign='+')} and {say_number(high, sign='+')})"
    delta = say_number(entry["delta"], sign="+") + " points" * (not entry.get("relative"))
    return (
        f"The tuned model is {'worse' if worse else 'better'} than its base: {entry['metric']} went from "
        f"{say_number(entry['against'])} to {say_number(entry['candidate'])}, {delta}{between}, on {rows} rows."
    )


def in_points(entry: Facts) -> float:
    """A delta in points; of a metric that knows none in percents of what it is compared with."""
    return float(entry["delta"]) / (size_point(entry["against"]) if entry.get("relative") else 1.0)


def is_loss(entry: Facts) -> bool:
    """Whether a metric got worse."""
    return bool(entry["delta"] > 0 if entry.get("lower_is_better") else entry["delta"] < 0)


def say_requirements(facts: Facts) -> str:
    """How many requirements hold, in a sentence."""
    statuses = [found["status"] for found in facts["requirements"]]
    if facts["passed"]:
        return "The one requirement holds." if len(statuses) == 1 else f"All {len(statuses)} requirements hold."
    counts = [f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses)]
    return f"Of {len(statuses)} requirement{'s' * (len(statuses) > 1)}: {', '.join(counts)}."


def say_stored(comparison: Facts) -> str:
    """A comparison with a stored arm in one line."""
    title, rows = comparison["title"], comparison["rows"]
    if comparison["differences"]:
        return f"{title}: not comparable, different {'; '.join(comparison['differences'])}"
    changed_since = say_circumstances(comparison)
    if comparison["changed_outputs"] == 0:
        return f"{title}: all {rows} outputs are the same{changed_since}"
    furthest = max(comparison["metrics"], key=lambda entry: abs(in_points(entry)))
    needed = say_number(furthest["smallest_detectable"])
    return (
        f"{title}: {comparison['outcome']} ({comparison['changed_outputs']} of {rows} outputs changed; "
        f"{furthest['metric']} {furthest['delta']:+.2f}, needs {needed} to be seen){changed_since}"
    )


def say_circumstances(comparison: Facts) -> str:
    """Which settings, versions and devices are others than when the arm was stored."""
    return f"; changed since: {', '.join(comparison['circumstances'])}" if comparison["circumstances"] else ""


def what_to_do(facts: Facts) -> str:
    """The one next step: the first that applies."""
    name, stored = facts["experiment"], facts["comparisons"][1:]
    statuses = {found["status"] for found in facts["requirements"]}
    failed = [found["sentence"].lower() for found in facts["requirements"] if found["status"] == Status.FAILS]
    why = ' --why "..."' if stored else ""
    steps = (
        (
            facts["outcome"] == Outcome.IDENTICAL,
            "Training changed no word: look at losses.jsonl, then raise learning rate or epochs.",
        ),
        (
            any(sentence.startswith("every check") for sentence in failed),
            "Mend what the checks found: report.html of the run's folder says what to do for each.",
        ),
        (
            bool(statuses & {Status.FAILS, Status.NO_CHANGE}),
            "Compare the outputs row by row: the rows that moved most stand in report.html of the run's folder.",
        ),
        (
            Status.NOT_COMPARABLE in statuses,
            f"Look at the outputs; if they are what you want, store them: harness baseline accept {name}",
        ),
        (
            Status.UNDECIDED in statuses,
            "Raise data.eval_rows; how many rows it takes stands beside each requirement.",
        ),
        (bool(stored) and all(comparison["changed_outputs"] == 0 for comparison in stored), "Nothing to do."),
        (True, f"To store this run as the baseline: harness baseline accept {name}{why}"),
    )
    return next(step for applies, step in steps if applies)


def say_interval(ends: list[float | None]) -> str:
    """Both ends with one decimal, for there are many of them in a line; a dash where there is no interval."""
    low, high = ends
    return "-" if low is None or high is None else f"{low:.1f} … {high:.1f}"


def list_pairs(pairs: list[Facts]) -> list[tuple[str, ...]]:
    """A line of a table for each pair: who, by how much, between what, how surely, and which is better."""
    return [
        (
            f"{pair['one']} - {pair['other']}",
            say_number(pair["delta"], sign="+"),
            say_interval(pair["interval"]),
            f"{pair['p_adjusted']:.4f}",
            pair["better"] or "not told apart",
        )
        for pair in pairs
    ]
