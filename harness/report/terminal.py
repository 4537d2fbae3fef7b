"""The verdict on a terminal, in 80 columns."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.console import Console, Group, RenderableType
from rich.text import Text

from harness.comparison import Outcome
from harness.gate import Status
from harness.metrics.metric import Table
from harness.printable import printable_all
from harness.report.drawing import draw_table
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
    console.print(render_facts(describe_run(run), console))


def say_run(run: Run, width: int = 80) -> str:
    """What `print_run` prints, as plain text."""
    text = io.StringIO()
    print_run(run, Console(file=text, width=width, no_color=True))
    return text.getvalue()


def render_facts(facts: Facts, console: Console) -> RenderableType:
    """Headline, table, requirements and the next step, in as many columns as the console has."""
    facts = printable_all(facts)
    comparison, *stored = facts["comparisons"]
    headline = Text.assemble(
        (facts["experiment"], "bold"),
        "   ",
        (facts["outcome"].upper(), OUTCOME_STYLES.get(facts["outcome"], "bold yellow")),
        f"   tuned vs base, {comparison['rows']} rows, paired",
    )
    lines = tuple(map(metric_cells, comparison["metrics"]))
    scores = draw_table(Table(title="", columns=column_titles(facts["level"]), rows=lines), console, title=False)
    beside = [draw_table(_take_texts(shown), console) for shown in list_method_tables(facts)]
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
    return Group(headline, scores, *beside, *warned, *took, *known, *findings, Text(what_to_do(facts)))


def _take_texts(shown: Shown) -> Table:
    """A table of the method as texts alone."""
    rows = tuple(tuple(cell.text for cell in line) for line in shown.lines)
    return Table(title=shown.role, columns=shown.columns, rows=rows)
