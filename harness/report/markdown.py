"""The verdict as Markdown, for a pull request and for the summary of a GitHub job."""

from __future__ import annotations

import os
import warnings
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.preparation import say_labels
from harness.printable import escape, printable
from harness.report.tables import WIDEST, list_method_tables, pair_tables
from harness.report.wording import (
    LEGEND,
    MARKS,
    column_titles,
    metric_cells,
    say_headline,
    say_requirements,
    say_stored,
    say_training,
    what_to_do,
)
from harness.tasks.labels import LabelReport

if TYPE_CHECKING:
    from harness.report.account import Account
    from harness.report.facts import Facts


SHOWN = 3
"""How many rows with gains are shown, and how many with losses."""
LONGEST = 300
"""Characters of a text that are shown."""
SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
"""Names the file whose Markdown GitHub shows beside a job."""


def write_markdown(account: Account) -> str:
    """The whole report as Markdown."""
    facts, comparison, manifest = account.facts, account.comparison, account.tuned.manifest
    weights = [arm.manifest.model.weights[:12] for arm in (account.base, account.tuned)]
    lines = [
        f"# {escape(facts['experiment'])}: {escape(facts['outcome'])}",
        "",
        f"{escape(say_headline(comparison, facts['headline']))} {escape(say_requirements(facts))}",
        "",
        f"Tuned against base, {comparison['rows']} rows, paired; {comparison['changed_outputs']} outputs differ.",
        "",
        *write_metrics(facts),
        "",
        LEGEND,
        "",
        *_say_method(facts),
        "## Requirements",
        "",
        *[
            f"- {MARKS[status]} {escape(found['sentence'])}: **{escape(status)}** ({escape(found['reason'])})"
            for found in facts["requirements"]
            for status in [found["status"]]
        ],
        "",
        "## Stored baseline",
        "",
        *([f"- {escape(say_stored(other))}" for other in facts["comparisons"][1:]] or ["None is stored."]),
        "",
        *_say_checks(account),
        *_say_tables(account),
        "## Rows that moved most",
        "",
        *_say_rows(account),
        "## How it came about",
        "",
        f"- Labels: {escape(say_labels(LabelReport(**facts['labels'])))}.",
        f"- Evaluation: {account.base.manifest.inputs_cut} of {len(account.rows)} inputs were cut.",
        f"- Training: {escape(' '.join(say_training(facts['training'])))}",
        (
            f"- Model: {_code(manifest.model.name)}, {manifest.model.parameters:,} parameters; "
            f"weights of base {_code(weights[0])}, of tuned {_code(weights[1])}."
        ),
        f"- Environment: {escape(', '.join(f'{name} {value}' for name, value in manifest.environment.items()))}.",
        f"- Seconds: {', '.join(f'{escape(stage)} {seconds:.1f}' for stage, seconds in facts['seconds'].items())}.",
        "",
        "Signatures:",
        "",
        *[f"- {_code(signature)}" for signature in manifest.metrics.values()],
        "",
        escape(what_to_do(facts)),
    ]
    return "\n".join(lines) + "\n"


def append_summary(account: Account, environment: Mapping[str, str] = os.environ) -> None:
    """Append the report to the summary of the GitHub job that this runs in; outside of one, do nothing.

    A file that cannot be written is a warning: it must not cost a verdict.
    """
    if place := environment.get(SUMMARY_VARIABLE):
        try:
            with Path(place).open("a", encoding="utf-8", errors="replace", newline="\n") as file:
                file.write(write_markdown(account) + "\n")
        except OSError as error:
            warnings.warn(f"{SUMMARY_VARIABLE} names {place}, which cannot be written: {error}.", stacklevel=2)


def _say_method(facts: Facts) -> list[str]:
    """What the method measured of itself, and what it warns of."""
    lines = [line for said in facts.get("warnings", ()) for line in (f"**Warning:** {escape(said)}", "")]
    for shown in list_method_tables(facts):
        rows = ([escape(cell.text) for cell in line] for line in shown.lines)
        lines += [f"{escape(shown.role)}:", "", *write_table(map(escape, shown.columns), rows), ""]
    return ["## Method", "", *lines] if lines else []


def _say_checks(account: Account) -> list[str]:
    lines = [
        f"- {check.status}: {escape(check.name)} ({escape(check.seen)}) {escape(check.remedy)}".rstrip()
        for check in account.checks
    ]
    return ["## Checks", "", *lines, ""] if lines else []


def _say_tables(account: Account) -> list[str]:
    """What stands beside the scores, of the tuned model."""
    lines = []
    for title, pair in pair_tables(account.facts).items():
        table = pair[-1]
        if len(table.columns) > WIDEST:
            lines += [f"{escape(title)} has {len(table.columns)} columns: see report.html.", ""]
            continue
        rows = ([escape(cell.text) for cell in line] for line in table.lines)
        lines += [f"{escape(title)}, {escape(table.role)}:", "", *write_table(map(escape, table.columns), rows), ""]
    return ["## Beside the scores", "", *lines] if lines else []


def _say_rows(account: Account) -> list[str]:
    """The rows with the largest gains and the largest losses of the first metric, with their texts."""
    lines = []
    for moved in account.moved_rows(SHOWN):
        lines.append(f"- {_code(moved.row.id)}, {escape(moved.metric)} {moved.delta:+.2f}")
        for name, text in (("reference", moved.row.references[0]), ("base", moved.base), ("tuned", moved.tuned)):
            lines.append(f"  - {name}: {_code(text[:LONGEST])}")
    return [*(lines or ["None moved."]), ""]


def write_table(header: Iterable[str], rows: Iterable[Iterable[str]], *, texts: Collection[int] = (0,)) -> list[str]:
    """The lines of a table, the columns of texts to the left and all others to the right."""
    header = list(header)
    rule = ["---" if place in texts else "---:" for place in range(len(header))]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def write_metrics(facts: Facts) -> list[str]:
    """The table of metrics, tuned against base."""
    lines = (map(escape, metric_cells(entry)) for entry in facts["comparisons"][0]["metrics"])
    return write_table(column_titles(facts["level"]), lines)


def _code(text: str) -> str:
    """Texts of models and data as code: no markup, link, image or mention is read there."""
    plain = " ".join(printable(text).replace("`", "'").split())
    return f"`{plain}`" if plain else "(empty)"
