"""The verdict on a terminal, in 80 columns."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.comparison import Outcome
from harness.gate import Status
from harness.printable import printable_all
from harness.report.facts import describe_run
from harness.report.tables import Shown, list_method_tables
from harness.report.wording import MARKS, column_titles, metric_cells, say_stored, say_training, what_to_do

if TYPE_CHECKING:
    from harness.experiment import Run
    from harness.report.facts import Facts

OUTCOME_STYLES: dict[str, str] = {
    Outcome.IMPROVED: "bold green",
    Outcome.REGRESSED: "bold red",
    Outcome.IDENTICAL: "bold red",
}
STATUS_STYLES: dict[str, str] = {Status.HOLDS: "green", Status.UNDECIDED: "yellow"}


def print_run(run: Run, console: Console) -> None:
    """Print headline, table, requirements and the next step."""
    console.print(render_facts(describe_run(run)))


def say_run(run: Run, width: int = 80) -> str:
    """What `print_run` prints, as plain text."""
    text = io.StringIO()
    print_run(run, Console(file=text, width=width, no_color=True))
    return text.getvalue()


def render_facts(facts: Facts) -> RenderableType:
    """Headline, table, requirements and the next step."""
    facts = printable_all(facts)
    comparison, *stored = facts["comparisons"]
    headline = Text.assemble(
        (facts["experiment"], "bold"),
        "   ",
        (facts["outcome"].upper(), OUTCOME_STYLES.get(facts["outcome"], "bold yellow")),
        f"   tuned vs base, {comparison['rows']} rows, paired",
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in column_titles(facts["level"]):
        # Where the place is short, a name takes several lines; a number stays whole.
        name = column == "metric"
        table.add_column(column, justify="left" if name else "right", no_wrap=not name, overflow="fold")
    for entry in comparison["metrics"]:
        table.add_row(*map(Text, metric_cells(entry)))
    beside = [show_table(shown) for shown in list_method_tables(facts)]
    warned = [Text(f"! {warning}", style="bold yellow") for warning in facts.get("warnings", ())]
    took = [Text(f"· {sentence}", style="dim") for sentence in say_training(facts["training"])]
    known = [Text(f"· {say_stored(other)}", style="dim") for other in stored]
    findings = [
        Text.assemble(
            (f"{MARKS[found['status']]} ", STATUS_STYLES.get(found["status"], "red")),
            found["sentence"],
            (f": {found['reason']}", "dim"),
        )
        for found in facts["requirements"]
    ]
    return Group(headline, table, *beside, *warned, *took, *known, *findings, Text(what_to_do(facts)))


def show_table(shown: Shown) -> Table:
    """A table of the method under its title."""
    table = Table(title=Text(shown.role), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(shown.columns):
        table.add_column(column, justify="right" if place else "left")
    for line in shown.lines:
        table.add_row(*(Text(cell.text) for cell in line))
    return table
