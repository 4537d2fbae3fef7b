"""A sweep as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.printable import escape
from harness.report.markdown import write_table
from harness.report.sweeps.tables import LEGEND, list_notes, say_sweep, tabulate_sweep

if TYPE_CHECKING:
    from harness.report.facts import Facts


def write_markdown(facts: Facts) -> str:
    """The whole report as Markdown."""
    lines = [f"# {escape(facts['name'])}", "", escape(say_sweep(facts)), ""]
    lines += [*(f"- {escape(note)}" for note in list_notes(facts)), ""] if list_notes(facts) else []
    for table in tabulate_sweep(facts):
        rows = ([escape(str(cell)) for cell in row] for row in table.rows)
        lines += [f"{escape(table.title)}:", "", *write_table(map(escape, table.columns), rows), ""]
    return "\n".join([*lines, escape(LEGEND), ""])
