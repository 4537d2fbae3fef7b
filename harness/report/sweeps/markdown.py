"""A sweep as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.printable import escape
from harness.report.markdown import write_table
from harness.report.sweeps.tables import (
    CELLS,
    LEGEND,
    list_notes,
    list_texts,
    say_sweep,
    tabulate_cells,
    tabulate_sweep,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from harness.metrics.metric import Table
    from harness.report.facts import Facts


def write_markdown(facts: Facts) -> str:
    """The whole report as Markdown."""
    lines = [f"# {escape(facts['name'])}", "", escape(say_sweep(facts)), ""]
    lines += [*(f"- {escape(note)}" for note in list_notes(facts)), ""] if list_notes(facts) else []
    for table in tabulate_sweep(facts):
        rows = ([escape(str(cell)) for cell in row] for row in table.rows)
        lines += _write(table, rows)
    for table in map(tabulate_cells, facts["tasks"]):
        lines += _write(
            table, ([*map(escape, map(str, row[:-1])), f"[{row[-1]}]({CELLS}{row[-1]})"] for row in table.rows)
        )
    return "\n".join([*lines, escape(LEGEND), ""])


def _write(table: Table, rows: Iterable[Iterable[str]]) -> list[str]:
    """A table under its title, with rows that are Markdown already."""
    return [
        f"{escape(table.title)}:",
        "",
        *write_table(map(escape, table.columns), rows, texts=list_texts(table)),
        "",
    ]
