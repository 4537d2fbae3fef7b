"""Tables on a terminal."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console, Group
from rich.table import Table as Drawn
from rich.text import Text

from harness.metrics.metric import Table
from harness.printable import printable
from harness.report.wording import has_numbers

LAYOUTS = ((3, False), (2, False), (2, True), (1, True))
"""Blanks between columns, and whether their titles are parted; the first that has room is taken."""
EDGES = 2
"""Blanks at both ends of a line."""
WORD = 16
"""A longer text may take several lines before a column has to go to another table."""


def draw_table(
    table: Table, console: Console, *, keys: int = 1, without: Collection[str] = (), title: bool = True
) -> Group:
    """A table with its numbers to the right.

    Where the place is short, columns move together and texts take several lines. Where that is not enough, the columns
    that have no room stand below, in a table of their own beside those that say what a line is. A number stays whole.

    Args:
        table: what to draw.
        console: has the place.
        keys: how many columns say what a line is.
        without: columns to leave out where the place is short, if it has those; a line says which.
        title: whether its title stands above it.
    """
    texts = [[printable(str(cell)) for cell in column] for column in zip(table.columns, *table.rows, strict=True)]
    places = list(range(len(texts)))
    left_out = [place for place in places if table.columns[place] in without]
    if _choose_layout(texts, console.width) is None:
        places = [place for place in places if place not in left_out]
    else:
        left_out = []
    numbers = {place for place in places[1:] if has_numbers(table, place)}
    drawn = [
        _draw_part([texts[place] for place in part], [place in numbers for place in part], console.width)
        for part in _part(texts, places, numbers, keys, console.width)
    ]
    above = [Text(printable(table.title), style="italic")] if title else []
    names = ", ".join(texts[place][0] for place in left_out)
    below = [Text(f"Left out, for want of room: {names}", style="dim")] if left_out else []
    return Group(*above, *drawn, *below)


def _choose_layout(texts: Sequence[Sequence[str]], room: int) -> tuple[int, bool] | None:
    """The first layout in which every text has one line; none if there is none."""
    for gap, parted in LAYOUTS:
        widths = [_measure(column, parted=parted) for column in texts]
        if EDGES + sum(widths) + gap * (len(widths) - 1) <= room:
            return gap, parted
    return None


def _part(
    texts: Sequence[Sequence[str]], places: Sequence[int], numbers: Collection[int], keys: int, room: int
) -> list[list[int]]:
    """The places of the columns, table by table: as many as there is room for beside the keys."""
    gap, parted = LAYOUTS[-1]
    widths = [gap + _measure(column, parted=parted) for column in texts]
    widths = [width if place in numbers else min(width, gap + WORD) for place, width in enumerate(widths)]
    named = list(places[:keys])
    free = room - EDGES + gap - sum(widths[place] for place in named)
    parts, used = [named.copy()], 0
    for place in places[keys:]:
        if used and used + widths[place] > free:
            parts.append(named.copy())
            used = 0
        parts[-1].append(place)
        used += widths[place]
    return parts


def _draw_part(texts: Sequence[Sequence[str]], numeric: Sequence[bool], room: int) -> Drawn:
    """One table; a number that has no room even alone ends in a sign of it."""
    gap, parted = _choose_layout(texts, room) or LAYOUTS[-1]
    drawn = Drawn(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, gap // 2, 0, (gap - 1) // 2))
    for (head, *_), number in zip(texts, numeric, strict=True):
        title = Text(_part_title(head, parted=parted))
        if number:
            drawn.add_column(title, justify="right", no_wrap=True, overflow="ellipsis")
        else:
            drawn.add_column(title, overflow="fold")
    for line in zip(*(cells for _, *cells in texts), strict=True):
        drawn.add_row(*map(Text, line))
    return drawn


def _measure(column: Sequence[str], *, parted: bool) -> int:
    """The width in which each text of a column, its title first, has one line."""
    head, *cells = column
    return max(map(cell_len, [*_part_title(head, parted=parted).split("\n"), *cells]))


def _part_title(title: str, *, parted: bool) -> str:
    """A title in lines, where it may be parted."""
    return title.replace("-", "-\n").replace(" (", "\n(") if parted else title
