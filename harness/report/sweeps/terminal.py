"""A sweep on a terminal, in 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.table import Table as Shown
from rich.text import Text

from harness.report.sweeps.tables import LEGEND, list_notes, say_sweep, tabulate_sweep

if TYPE_CHECKING:
    from harness.metrics.metric import Table
    from harness.report.facts import Facts

WORDS = ("model", "method", "outcome", "standing", "pair", "better", "reason", "error", "task")
"""Columns of words, which may be parted."""
WIDE = ("base", "outcome")
"""Columns that 80 characters have no room for."""


def print_sweep(facts: Facts, console: Console) -> None:
    """Print all tables, and how the sweep stands."""
    for table in tabulate_sweep(facts):
        console.print(_render(table))
    console.print(Text(LEGEND, style="dim"))
    for note in list_notes(facts):
        console.print(Text(note))
    console.print(Text(say_sweep(facts), style="red" if facts["failed"] else "green"))


def _render(table: Table) -> Shown:
    shown = Shown(
        title=Text(table.title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0)
    )
    places = [place for place, column in enumerate(table.columns) if column not in WIDE]
    for place in places:
        words = table.columns[place] in WORDS
        shown.add_column(table.columns[place], justify="left" if words else "right", no_wrap=not words, overflow="fold")
    for row in table.rows:
        shown.add_row(*(Text(str(row[place])) for place in places))
    return shown
