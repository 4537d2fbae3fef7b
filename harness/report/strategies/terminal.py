"""A study on a terminal, in 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table as Shown
from rich.text import Text

from harness.printable import printable_all
from harness.report.strategies.tables import (
    LEGEND,
    say_single,
    tabulate_lines,
    tabulate_matrix,
    tabulate_measures,
    tabulate_study,
)
from harness.report.terminal import STATUS_STYLES
from harness.report.wording import MARKS

if TYPE_CHECKING:
    from harness.metrics.metric import Table
    from harness.report.facts import Facts


WORDS = ("reason", "better")
"""Columns of words, which may be parted."""


def print_study(facts: Facts, console: Console) -> None:
    """Print each strategy's matrix and what became of the sentences; of several, the comparison as well."""
    facts = printable_all(facts)
    for line in facts["lines"]:
        console.print(_render_line(facts, line, alone=facts["contest"] is None))
    if facts["contest"] is not None:
        for table in tabulate_study(facts):
            console.print(_render(table))
        for sentence in say_single(facts):
            console.print(Text(sentence))
    console.print(Text(LEGEND, style="dim"))


def _render_line(facts: Facts, line: Facts, *, alone: bool) -> RenderableType:
    """Headline, matrix, measures, findings."""
    headline = Text.assemble(
        (facts["name"], "bold"),
        "   ",
        line["name"],
        "   ",
        (line["verdict"].upper(), f"bold {STATUS_STYLES.get(line['verdict'], 'red')}"),
        f"   {tabulate_lines(facts).title.partition(': ')[2]}" * alone,
    )
    findings = [
        Text.assemble(
            (f"{MARKS[found['status']]} ", STATUS_STYLES.get(found["status"], "red")),
            found["sentence"],
            (f": {found['reason']}", "dim"),
        )
        for found in line["requirements"]
    ]
    measures = [_render(tabulate_measures(line))] if alone else []
    return Group(headline, _render(tabulate_matrix(facts, line), title=False), *measures, *findings, Text())


def _render(table: Table, *, title: bool = True) -> Shown:
    shown = Shown(
        title=Text(table.title) if title else None,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        padding=(0, 1, 0, 0),
    )
    for place, column in enumerate(table.columns):
        # The names of tasks are long: in the head of a column they take several lines.
        head = column.replace("-", "-\n").replace(" (", "\n(")
        text = place == 0 or column in WORDS
        shown.add_column(head, justify="left" if text else "right", overflow="fold", no_wrap=column not in WORDS)
    for row in table.rows:
        shown.add_row(*(Text(str(cell)) for cell in row))
    return shown
