"""A session of measurements as a table, the same one on a terminal and on the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.benchmark.record import Record
from harness.metrics.metric import Table

TITLES = ("engine", "batch", "beams", "dtype", "source", "tokens/s", "times", "ms/step", "first token, ms", "rows/s",
          "memory, MB", "roofline", "equal")  # fmt: skip
WIDE = ("dtype", "source", "ms/step", "first token, ms", "rows/s", "memory, MB")
"""Columns that 80 characters have no room for."""


def tabulate_session(record: Record) -> Table:
    """Each case of each engine: medians, in brackets their intervals."""
    entries = sorted(record["results"], key=_case)
    title = f"{record['model']} on {record['environment']['device']}"
    return Table(title=title, columns=TITLES, rows=tuple(map(_fill, entries)))


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
