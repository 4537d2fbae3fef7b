"""The tables of a sweep, made from its facts; every format shows the same ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.metrics.metric import Table
from harness.report.wording import has_numbers, list_pairs, say_bytes, say_count, say_interval, say_number

if TYPE_CHECKING:
    from harness.report.facts import Facts

SIGNS = {"best": "★ best", "not told apart": "= best", "behind": "", None: "?"}
"""How a candidate stands to the one with the best mean."""
LEGEND = (
    "Tuned: the mean over the seeds. The interval of delta (tuned less base) is over rows and seeds. ★ has the best "
    "mean of its task; = is not told apart from it, all pairs tested together (sign flips, max-T); ? was not compared; "
    "what has no sign is really behind. s: seconds of a cell, less those of scoring its base. Trained: weights "
    "that were allowed to move. Stored beside base: what has to be kept of the tuned model. Cell folder: what the run "
    "wrote. harness report SWEEP_FOLDER/cells/CELL writes the reports of one cell."
)
CELLS = "cells/"
"""Where the folders of the cells are, from that of the sweep."""
SCORES = ("model", "method", "seeds", "base", "tuned", "delta", "interval", "outcome", "standing")
COST = ("model", "method", "s", "trained", "memory", "stored beside base", "cell folder")


def tabulate_task(task: Facts) -> Table:
    """What each model came to with each method."""
    rows = [
        (
            line["model"],
            line["method"],
            str(len(line["seeds"])),
            say_number(line["base"]),
            say_number(line["tuned"]),
            say_number(line["delta"], sign="+"),
            say_interval(line["interval"]),
            line["outcome"],
            SIGNS[line["standing"]],
        )
        for line in task["lines"]
    ]
    better = "less is better" if task["lower_is_better"] else "more is better"
    return Table(
        title=f"{task['task']}: {task['headline']}, {task['rows']} rows, {better}", columns=SCORES, rows=tuple(rows)
    )


def tabulate_cost(task: Facts) -> Table:
    """What each candidate took: a cell's seconds and bytes."""
    rows = [
        (
            line["model"],
            line["method"],
            f"{line['seconds'] / len(line['seeds']):.3g}",
            say_count(line["trainable_parameters"]),
            say_bytes(line["peak_bytes"]),
            say_bytes(line["stored_bytes"]),
            say_bytes(line["bytes"] // len(line["seeds"])),
        )
        for line in task["lines"]
    ]
    return Table(title=f"{task['task']}: what a cell took", columns=COST, rows=tuple(rows))


def tabulate_pairs(task: Facts) -> Table:
    """All pairs of candidates of a task."""
    rows = list_pairs(task["pairs"])
    return Table(
        title=f"{task['task']}: pairs, p adjusted for all {len(rows)}; better at {task['level']:g}",
        columns=("pair", "difference", "interval", "p (adj.)", "better"),
        rows=tuple(rows),
    )


def tabulate_cells(task: Facts) -> Table:
    """The key of every cell, which is the name of its folder."""
    rows = [
        (line["model"], line["method"], str(seed), folder.removeprefix(CELLS))
        for line in task["lines"]
        for seed, folder in zip(line["seeds"], line["folders"], strict=True)
    ]
    return Table(
        title=f"{task['task']}: {len(rows)} cells", columns=("model", "method", "seed", "cell"), rows=tuple(rows)
    )


def list_texts(table: Table) -> tuple[int, ...]:
    """The places of the columns that hold texts."""
    return tuple(place for place in range(len(table.columns)) if not has_numbers(table, place))


def tabulate_failed(facts: Facts) -> Table:
    """The cells that are not done, with their last error."""
    rows = [
        (
            entry["task"],
            entry["model"],
            entry["method"] or "every",
            "every" if entry["seed"] is None else str(entry["seed"]),
            str(entry["tries"]),
            f"{entry['kind']}: {entry['message']}",
        )
        for entry in facts["failed"]
    ]
    return Table(title="Failed", columns=("task", "model", "method", "seed", "tries", "error"), rows=tuple(rows))


def tabulate_unfit(facts: Facts) -> Table:
    """What does not fit, and why."""
    methods: dict[tuple[str, str, str], list[str]] = {}
    for entry in facts["unfit"]:
        methods.setdefault((entry["task"], entry["model"], entry["reason"]), []).append(entry["method"])
    rows = [(task, model, ", ".join(named), reason) for (task, model, reason), named in methods.items()]
    return Table(title="Does not fit", columns=("task", "model", "method", "reason"), rows=tuple(rows))


def tabulate_sweep(facts: Facts) -> tuple[Table, ...]:
    """All tables: scores and cost of each task, pairs, what failed, what does not fit."""
    found = [make(task) for task in facts["tasks"] for make in (tabulate_task, tabulate_cost)]
    found += [tabulate_pairs(task) for task in facts["tasks"] if task["pairs"]]
    found += [tabulate_failed(facts)] if facts["failed"] else []
    found += [tabulate_unfit(facts)] if facts["unfit"] else []
    return tuple(found)


def say_sweep(facts: Facts) -> str:
    """What is best, and how the sweep stands."""
    best = "".join(f"{task['task']}: {told}. " for task in facts["tasks"] if (told := say_best(task)))
    cells, cost = facts["cells"], facts["cost"]
    said = [f"{cells['done']} of {cells['all']} cells done"]
    said += [f"{cells['failed']} failed"] if cells["failed"] else []
    said += [f"{cells['unfit']} do not fit"] if cells["unfit"] else []
    said += [f"{cells['retried']} were done after a failure"] if cells["retried"] else []
    work = f"{cost['seconds']:,.0f} s of work, {say_bytes(cost['bytes'])} in all cell folders"
    return f"{best}{', '.join(said)}; {work}."


def say_best(task: Facts) -> str:
    """The candidate that all others of a task are really behind, if there is one; nothing if none was compared."""
    compared = [line for line in task["lines"] if line["standing"] is not None]
    if not compared:
        return ""
    leader = next(line for line in compared if line["standing"] == "best")
    equals = [_say_candidate(line) for line in compared if line["standing"] == "not told apart"]
    name, count = _say_candidate(leader), len(compared)
    if not equals:
        return f"{name} is the best of {count} (against the base: {leader['outcome']})"
    rest = equals[0] if len(equals) == 1 else f"{len(equals)} others"
    return f"no best can be told: {name} has the best mean of {count}, not told apart from {rest}"


def _say_candidate(line: Facts) -> str:
    return f"{line['model']}, {line['method']}"


def list_notes(facts: Facts) -> list[str]:
    """What a reader must not miss, in sentences."""
    notes = [f"{task['task']}: {note}" for task in facts["tasks"] for note in task["notes"]]
    if len(facts["devices"]) > 1:
        notes.append(f"Cells ran on several kinds of device, which round differently: {'; '.join(facts['devices'])}.")
    return notes
