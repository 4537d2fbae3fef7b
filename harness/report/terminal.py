"""The verdict on a terminal, in 80 columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.comparison import Outcome
from harness.gate import Status
from harness.report.wording import MARKS, column_titles, metric_cells, say_stored, what_to_do

if TYPE_CHECKING:
    from harness.experiment import Run

OUTCOME_STYLES = {Outcome.IMPROVED: "bold green", Outcome.REGRESSED: "bold red", Outcome.IDENTICAL: "bold red"}
STATUS_STYLES = {Status.HOLDS: "green", Status.UNDECIDED: "yellow"}


def print_run(run: Run, console: Console) -> None:
    """Print headline, table, requirements and the next step."""
    console.print(render_run(run))


def render_run(run: Run) -> RenderableType:
    """Headline, table, requirements and the next step."""
    comparison = run.verdict.comparisons.tuned_base
    headline = Text.assemble(
        (run.experiment.name, "bold"),
        "   ",
        (str(run.verdict.outcome).upper(), OUTCOME_STYLES.get(run.verdict.outcome, "bold yellow")),
        f"   tuned vs base, {comparison.rows} rows, paired",
    )
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in column_titles(run):
        table.add_column(column, justify="left" if column == "metric" else "right", no_wrap=True)
    for entry in comparison.metrics:
        table.add_row(*metric_cells(entry))
    stored = [Text(f"· {say_stored(other)}", style="dim") for other in run.verdict.comparisons.stored]
    findings = [
        Text.assemble(
            (f"{MARKS[found.status]} ", STATUS_STYLES.get(found.status, "red")),
            found.sentence,
            (f": {found.reason}", "dim"),
        )
        for found in run.verdict.findings
    ]
    return Group(headline, table, *stored, *findings, Text(what_to_do(run)))
