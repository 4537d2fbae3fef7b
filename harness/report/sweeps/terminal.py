"""A sweep on a terminal, in 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from harness.printable import printable_all
from harness.report.drawing import draw_table
from harness.report.sweeps.tables import LEGEND, list_notes, say_sweep, tabulate_cells, tabulate_sweep

if TYPE_CHECKING:
    from harness.report.facts import Facts

WIDE = ("base", "outcome")
"""Columns that 80 characters have no room for."""


def print_sweep(facts: Facts, console: Console) -> None:
    """Print all tables, and how the sweep stands."""
    facts = printable_all(facts)
    for table in (*tabulate_sweep(facts), *map(tabulate_cells, facts["tasks"])):
        console.print(draw_table(table, console, without=WIDE))
    console.print(Text(LEGEND, style="dim"))
    for note in list_notes(facts):
        console.print(Text(note))
    console.print(Text(say_sweep(facts), style="red" if facts["failed"] else "green"))
