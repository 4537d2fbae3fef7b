"""A session of measurements as a table, with the same numbers on a terminal and on the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from harness.benchmark.record import Record
from harness.metrics.metric import Table

_T = TypeVar("_T")

TITLES = ("engine", "batch", "beams", "dtype", "source", "tokens/s", "times", "ms/step", "first token, ms", "rows/s",
          "memory, MB", "roofline", "equal")  # fmt: skip
KEYS = TITLES.index("tokens/s")
"""How many columns say what a line is."""
SHARED = {"dtype": "{}", "source": "source {}"}
"""Columns that a title can say as well, where all lines have the same, and how it does."""


def tabulate_session(record: Record) -> Table:
    """Each case of each engine: medians, in brackets their intervals."""
    entries = sorted(record["results"], key=_case)
    title = f"{record['model']} on {record['environment']['device']}"
    return Table(title=title, columns=TITLES, rows=tuple(map(_fill, entries)))


def shorten(table: Table) -> tuple[Table, int]:
    """The table for a terminal: what is the same in every line stands in its title; and how many columns are keys."""
    shared = {
        place: said.format(table.rows[0][place])
        for place, said in ((table.columns.index(column), said) for column, said in SHARED.items())
        if len({line[place] for line in table.rows}) == 1
    }

    def keep(cells: Sequence[_T]) -> tuple[_T, ...]:
        return tuple(cell for place, cell in enumerate(cells) if place not in shared)

    title = ", ".join((table.title, *shared.values()))
    return Table(title=title, columns=keep(table.columns), rows=tuple(map(keep, table.rows))), KEYS - len(shared)


def _case(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(entry[name] for name in ("dtype", "source_length", "beams", "batch"))


def _fill(entry: Mapping[str, Any]) -> tuple[str, ...]:
    return (
        entry["engine"],
        *(str(entry[name]) for name in ("batch", "beams", "dtype", "source_length")),
        _say(entry["tokens_per_second"], digits=0),
        _say(entry["ratio"], digits=2),
        _say(entry["seconds_per_step"], digits=2, unit=1000),
        _say(entry["seconds_to_first_token"], digits=1, unit=1000),
        _say(entry["rows_per_second"], digits=2),
        f"{entry['peak_bytes'] / 1e6:.0f}",
        f"{100 * entry['share_of_roofline']:.1f} %",
        f"{entry['rows_equal']}/{entry['batch']}",
    )


def _say(interval: Mapping[str, float], *, digits: int, unit: float = 1.0) -> str:
    median, low, high = (f"{unit * interval[name]:,.{digits}f}" for name in ("median", "low", "high"))
    return f"{median} [{low}, {high}]"
