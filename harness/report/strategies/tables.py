"""The tables of a study, made from its facts; every format shows the same ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.metrics.metric import Table
from harness.report.wording import list_pairs, say_interval, say_number

if TYPE_CHECKING:
    from harness.report.facts import Facts

MARK = "*"
"""Stands behind a task's score after the stage that taught it: the diagonal of the matrix."""
LEGEND = (
    "R holds each task's score after each stage; * marks the stage that taught it. Average: of the last line. Backward "
    "transfer (BWT): the last line less *. Forgetting: the best line from * on, but for the last, less the last. "
    "Forward transfer (FWT): the line before * less the base. A dash: all tasks were taught in one stage. s: seconds."
)


def tabulate_matrix(facts: Facts, line: Facts) -> Table:
    """R of one strategy, the mean over its seeds."""
    titles = name_stages(line)
    rows = [
        (title, *(say_score(score, learned=number == at) for score, at in zip(scores, line["learned"], strict=True)))
        for number, (title, scores) in enumerate(zip(titles, line["matrix"], strict=True))
    ]
    columns = ("after", *(f"{task['name']} ({task['headline']})" for task in facts["tasks"]))
    return Table(title=f"R of {line['name']}", columns=columns, rows=tuple(rows))


def name_stages(line: Facts) -> list[str]:
    """The names of the lines of R: the base, and what each stage taught."""
    if len(line["stages"]) == 1:
        return ["base", "all tasks"]
    return ["base", *(" + ".join(stage["taught"]) for stage in line["stages"])]


def tabulate_measures(line: Facts) -> Table:
    """The measures of one strategy with their intervals."""
    rows = [
        (
            name,
            say_number(found["value"]),
            say_interval(found["interval"]),
            ", ".join(map(say_number, found["by_seed"])) if len(found["by_seed"]) > 1 else "",
        )
        for name, found in line["measures"].items()
    ]
    wide = any(seeds for *_, seeds in rows)
    columns = ("measure", "points", "interval", "by seed")
    return Table(
        title=f"Measures of {line['name']}",
        columns=columns if wide else columns[:3],
        rows=tuple(row if wide else row[:3] for row in rows),
    )


def tabulate_lines(facts: Facts) -> Table:
    """All strategies: what each came to."""
    rows = []
    for line in facts["lines"]:
        measures = line["measures"]
        rows.append(
            (
                line["name"],
                say_number(measures["average score"]["value"]),
                say_interval(measures["average score"]["interval"]),
                say_number(measures["forgetting"]["value"]),
                say_interval(measures["forgetting"]["interval"]),
                say_number(measures["backward transfer"]["value"], sign="+"),
                say_number(measures["forward transfer"]["value"], sign="+"),
                f"{sum(line['seconds'].values()):.0f}",
            )
        )
    columns = ("strategy", "average", "interval", "forgets", "interval", "BWT", "FWT", "s")
    return Table(title=f"{facts['name']}, {facts['model']}: {_say_tasks(facts)}", columns=columns, rows=tuple(rows))


def tabulate_ends(facts: Facts) -> Table:
    """All strategies: each task's last score; in brackets, where one model for each task was trained, what it lost."""
    single = {(entry["line"], entry["task"]): entry for entry in (facts["contest"] or {}).get("single", ())}
    rows = [
        ("base", *(say_number(score) for score in facts["lines"][0]["matrix"][0])),
        *(
            (
                line["name"],
                *(
                    f"{say_number(score)}{_say_loss(single.get((line['name'], task['name'])))}"
                    for score, task in zip(line["matrix"][-1], facts["tasks"], strict=True)
                ),
            )
            for line in facts["lines"]
        ),
    ]
    return Table(
        title="Last score of each task"
        + "; in brackets, what one model for each task is ahead by (! surely)" * bool(single),
        columns=("strategy", *(f"{task['name']} ({task['headline']})" for task in facts["tasks"])),
        rows=tuple(rows),
    )


def tabulate_pairs(facts: Facts, measure: str) -> Table:
    """All pairs of strategies by one measure."""
    pairs = facts["contest"][measure]
    rows = list_pairs(pairs)
    return Table(
        title=f"Pairs by {measure}: p is adjusted for all of them (max-T); better at {facts['level']:g}",
        columns=("pair", "difference", "interval", "p (adj.)", "better"),
        rows=tuple(rows),
    )


def tabulate_study(facts: Facts) -> tuple[Table, ...]:
    """The tables that compare strategies: what each came to, each task's end, the pairs, and what was left out."""
    found = [tabulate_lines(facts), tabulate_ends(facts)]
    found += [
        tabulate_pairs(facts, measure) for measure in ("average score", "forgetting") if facts["contest"][measure]
    ]
    if facts["skipped"]:
        rows = tuple(facts["skipped"].items())
        found.append(Table(title="Not run", columns=("strategy", "reason"), rows=rows))
    return tuple(found)


def say_score(score: float, *, learned: bool) -> str:
    """A score of the matrix, marked where it was learned."""
    return f"{say_number(score)}{MARK if learned else ' '}"


def say_single(facts: Facts) -> list[str]:
    """For each strategy a sentence on how it does against the models that learned one task each."""
    told = []
    entries = (facts["contest"] or {}).get("single", ())
    for name in dict.fromkeys(entry["line"] for entry in entries):
        lost = [entry for entry in entries if entry["line"] == name and entry["loses"]]
        named = ", ".join(f"{entry['task']} ({say_number(entry['loss'])})" for entry in lost)
        told.append(
            f"{name} loses points against the single-task models on {named}."
            if lost
            else f"{name} is within its interval of the single-task models on every task."
        )
    return told


def _say_loss(entry: Facts | None) -> str:
    if entry is None:
        return ""
    return f" ({say_number(entry['loss'], sign='+')}{'!' * entry['loses']})"


def _say_tasks(facts: Facts) -> str:
    rows = {task["eval_rows"] for task in facts["tasks"]}
    each = f"{rows.pop()} rows each" if len(rows) == 1 else f"{sum(rows)} rows"
    seeds = f", {len(facts['seeds'])} seeds" * (len(facts["seeds"]) > 1)
    return f"{len(facts['tasks'])} tasks, {each}{seeds}"
