"""Tables on a terminal: every value whole, whatever the width, and every column there or named."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.metrics.metric import Table
from harness.report.drawing import draw_table

FACTS = Table(
    title="Facts",
    columns=("metric", "base", "tuned", "delta", "95 % interval", "p (adj.)", "detectable"),
    rows=(
        ("facts_right", "1.25", "85.38", "+84.12", "81.49 … 86.76", "0.0001", "4.06"),
        ("facts_invented", "86.08", "9.10", "-76.97", "-81.98 … -72.10", "0.0001", "7.60"),
    ),
)


def draw(table: Table, width: int, **options: object) -> list[str]:
    """The lines that a terminal of so many columns shows."""
    console = Console(file=io.StringIO(), width=width, no_color=True)
    console.print(draw_table(table, console, **options))  # type: ignore[arg-type]
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]


def test_a_line_of_scores_is_one_line_in_80_columns() -> None:
    """The longest name of a score and the widest interval stand whole beside all else."""
    (line,) = [line.split() for line in draw(FACTS, 80) if "invented" in line]
    assert " ".join(line) == " ".join(map(str, FACTS.rows[1]))


@given(width=st.integers(44, 200), count=st.integers(1, 12))
def test_no_value_is_cut(width: int, count: int) -> None:
    """In any width every value is there once for each line, and no line is wider; columns without room stand below."""
    columns = ("engine", *(f"column {number}" for number in range(count)))
    values = [f"{number}234.56 [{number}100.12, {number}345.67]" for number in range(count)]
    lines = draw(Table(title="t", columns=columns, rows=(("transformers", *values),)), width)
    text = "\n".join(lines)
    assert max(map(len, lines)) <= width
    assert all(text.count(value) == 1 for value in values)
    assert text.count("transformers") == 1 + sum(not line.strip() for line in lines[1:-1]) // 2


def test_lines_are_named_in_every_part() -> None:
    """Where a table falls into parts, the columns that say what a line is stand in each, and the title once."""
    lines = draw(FACTS, 50)
    assert sum("facts_invented" in line for line in lines) == sum("metric" in line for line in lines) == 2
    assert sum("Facts" in line for line in lines) == 1


@pytest.mark.parametrize(("width", "said"), [(80, False), (60, True)])
def test_a_column_that_is_left_out_is_named(width: int, *, said: bool) -> None:
    """It is left out only where the place is short, and then a line says which."""
    text = "\n".join(draw(FACTS, width, without=("detectable",)))
    assert ("7.60" in text) is not said
    assert ("Left out, for want of room: detectable" in text) is said
