"""The verdict as Markdown, for a pull request and for the summary of a GitHub job."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from harness.preparation import say_labels
from harness.report.tables import WIDEST, pair_tables
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
        f"# {facts['experiment']}: {facts['outcome']}",
        "",
        f"{_escape(say_headline(comparison))} {say_requirements(facts)}",
        "",
        f"Tuned against base, {comparison['rows']} rows, paired; {comparison['changed_outputs']} outputs differ.",
        "",
        *write_table(column_titles(facts["level"]), map(metric_cells, comparison["metrics"])),
        "",
        LEGEND,
        "",
        "## Requirements",
        "",
        *[
            f"- {MARKS[found['status']]} {_escape(found['sentence'])}: **{found['status']}** "
            f"({_escape(found['reason'])})"
            for found in facts["requirements"]
        ],
        "",
        "## Stored baseline",
        "",
        *([f"- {_escape(say_stored(other))}" for other in facts["comparisons"][1:]] or ["None is stored."]),
        "",
        *_say_checks(account),
        *_say_tables(account),
        "## Rows that moved most",
        "",
        *_say_rows(account),
        "## How it came about",
        "",
        f"- Labels: {say_labels(LabelReport(**facts['labels']))}.",
        f"- Evaluation: {account.base.manifest.inputs_cut} of {len(account.rows)} inputs were cut.",
        f"- Training: {' '.join(say_training(facts['training']))}",
        (
            f"- Model: {_code(manifest.model.name)}, {manifest.model.parameters:,} parameters; "
            f"weights of base `{weights[0]}`, of tuned `{weights[1]}`."
        ),
        f"- Environment: {', '.join(f'{name} {value}' for name, value in manifest.environment.items())}.",
        f"- Seconds: {', '.join(f'{stage} {seconds:.1f}' for stage, seconds in facts['seconds'].items())}.",
        "",
        "Signatures:",
        "",
        *[f"- `{signature}`" for signature in manifest.metrics.values()],
        "",
        what_to_do(facts),
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


def _say_checks(account: Account) -> list[str]:
    lines = [
        f"- {check.status}: {_escape(check.name)} ({_escape(check.seen)}) {_escape(check.remedy)}".rstrip()
        for check in account.checks
    ]
    return ["## Checks", "", *lines, ""] if lines else []


def _say_tables(account: Account) -> list[str]:
    """What stands beside the scores, of the tuned model."""
    lines = []
    for title, pair in pair_tables(account.facts).items():
        table = pair[-1]
        if len(table.columns) > WIDEST:
            lines += [f"{_escape(title)} has {len(table.columns)} columns: see report.html.", ""]
            continue
        rows = ([_escape(cell.text) for cell in line] for line in table.lines)
        lines += [f"{_escape(title)}, {table.role}:", "", *write_table(map(_escape, table.columns), rows), ""]
    return ["## Beside the scores", "", *lines] if lines else []


def _say_rows(account: Account) -> list[str]:
    """The rows with the largest gains and the largest losses of the first metric, with their texts."""
    lines = []
    for moved in account.moved_rows(SHOWN):
        lines.append(f"- {_code(moved.row.id)}, {moved.metric} {moved.delta:+.2f}")
        for name, text in (("reference", moved.row.references[0]), ("base", moved.base), ("tuned", moved.tuned)):
            lines.append(f"  - {name}: {_code(text[:LONGEST])}")
    return [*(lines or ["None moved."]), ""]


def write_table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """The lines of a table, its first column to the left and all others to the right."""
    header = list(header)
    rule = ["---", *["---:"] * (len(header) - 1)]
    return [f"| {' | '.join(cells)} |" for cells in (header, rule, *rows)]


def _escape(text: str) -> str:
    """Names and reasons must not become markup, nor a mention of somebody."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace("@", "&#64;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", " ".join(text.split()))


def _code(text: str) -> str:
    """Texts of models and data as code: no markup, link, image or mention is read there."""
    plain = " ".join(text.replace("`", "'").split())
    return f"`{plain}`" if plain else "(empty)"
