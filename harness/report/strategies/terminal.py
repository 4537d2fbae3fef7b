"""A study on a terminal, in 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.text import Text

from harness.printable import printable_all
from harness.report.drawing import draw_table
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
    from harness.report.facts import Facts


def print_study(facts: Facts, console: Console) -> None:
    """Print each strategy's matrix and what became of the sentences; of several, the comparison as well."""
    facts = printable_all(facts)
    for line in facts["lines"]:
        console.print(_render_line(facts, line, console, alone=facts["contest"] is None))
    if facts["contest"] is not None:
        for table in tabulate_study(facts):
            console.print(draw_table(table, console))
        for sentence in say_single(facts):
            console.print(Text(sentence))
    console.print(Text(LEGEND, style="dim"))


def _render_line(facts: Facts, line: Facts, console: Console, *, alone: bool) -> RenderableType:
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
    measures = [draw_table(tabulate_measures(line), console)] if alone else []
    matrix = draw_table(tabulate_matrix(facts, line), console, title=False)
    return Group(headline, matrix, *measures, *findings, Text())
