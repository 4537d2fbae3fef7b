"""The tables beside the scores, of base and tuned side by side: confusion matrices, F1 of each type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.report.facts import Facts

WIDEST = 12
"""Columns that a table in Markdown may have; wider ones stand in the HTML report."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell as it is shown, and how dark its ground is (0 to 1)."""

    text: str
    shade: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One table of one arm."""

    role: str
    columns: tuple[str, ...]
    lines: tuple[tuple[Cell, ...], ...]


def pair_tables(facts: Facts) -> dict[str, list[Shown]]:
    """Title to the tables of base and tuned; nothing for a run that was written before there were tables."""
    pairs: dict[str, list[Shown]] = {}
    for role, tables in facts.get("tables", {}).items():
        for table in tables:
            lines = tuple(_show_line(line, shaded=table["shaded"]) for line in table["rows"])
            shown = Shown(role=role, columns=tuple(table["columns"]), lines=lines)
            pairs.setdefault(table["title"], []).append(shown)
    return pairs


def list_method_tables(facts: Facts) -> list[Shown]:
    """The tables of the method, each under its title; none for a run that was written before there were any."""
    return [
        Shown(
            role=table["title"],
            columns=tuple(table["columns"]),
            lines=tuple(_show_line(line, shaded=table["shaded"]) for line in table["rows"]),
        )
        for table in facts.get("method_tables", ())
    ]


def _show_line(line: Sequence[str | float], *, shaded: bool) -> tuple[Cell, ...]:
    """A line; in a shaded table each number is as dark as its share of the line."""
    total = sum(value for value in line if not isinstance(value, str)) if shaded else 0
    return tuple(
        Cell(text=value)
        if isinstance(value, str)
        else Cell(text=_say(value), shade=round(value / total, 3) if total else 0.0)
        for value in line
    )


def _say(value: float) -> str:
    """Counts as they are, scores with two decimals."""
    return f"{value:,}" if isinstance(value, int) else f"{value:.2f}"
