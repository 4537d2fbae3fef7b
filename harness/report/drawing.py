"""Tables on a terminal."""

from __future__ import annotations

from collections.abc import Collection

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table as Drawn
from rich.text import Text

from harness.metrics.metric import Table
from harness.printable import printable
from harness.report.wording import has_numbers

WIDEST = 1000
"""Columns of characters in which a table has all the room that it wants."""


def draw_table(table: Table, console: Console, *, without: Collection[str] = (), title: bool = True) -> Drawn:
    """A table with its numbers to the right.

    Where the place is short, words take several lines; a number stays whole, and its title is parted.

    Args:
        table: what to draw.
        console: has the place.
        without: columns to leave out, if it has those.
        title: whether its title stands above it.
    """
    drawn = Drawn(
        title=Text(printable(table.title)) if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    places = [place for place, column in enumerate(table.columns) if column not in without]
    for place in places:
        column = printable(table.columns[place])
        if has_numbers(table, place):
            head = column.replace("-", "-\n").replace(" (", "\n(")
            drawn.add_column(Text(head), justify="right", no_wrap=True, overflow="fold")
        else:
            drawn.add_column(Text(column), overflow="fold")
    for line in table.rows:
        drawn.add_row(*(Text(printable(str(line[place]))) for place in places))
    if Measurement.get(console, console.options.update(width=WIDEST), drawn).maximum > console.width:
        drawn.padding = 0
    return drawn
