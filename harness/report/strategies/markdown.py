"""A study as Markdown, for a pull request and for documents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.printable import escape
from harness.report.markdown import write_table
from harness.report.strategies.tables import (
    LEGEND,
    MARK,
    say_single,
    tabulate_matrix,
    tabulate_measures,
    tabulate_study,
)
from harness.report.wording import MARKS

if TYPE_CHECKING:
    from harness.metrics.metric import Table
    from harness.report.facts import Facts


def write_study(facts: Facts) -> str:
    """The whole report as Markdown."""
    lines = [f"# {escape(facts['name'])}", ""]
    if facts["contest"] is not None:
        for table in tabulate_study(facts):
            lines += [f"{escape(table.title)}:", "", *_write(table), ""]
        lines += [*(f"- {escape(sentence)}" for sentence in say_single(facts)), ""]
    lines += [escape(LEGEND), ""]
    for line in facts["lines"]:
        lines += [f"## {line['name']}: {line['verdict']}", "", *_write(tabulate_matrix(facts, line)), ""]
        lines += [*_write(tabulate_measures(line)), ""]
        lines += [
            f"- {MARKS[found['status']]} {escape(found['sentence'])}: **{found['status']}** ({escape(found['reason'])})"
            for found in line["requirements"]
        ]
        lines += ["", *_say_stages(line), ""]
    return "\n".join(lines)


def _write(table: Table) -> list[str]:
    """A table; what was learned in a line is bold."""
    rows = ([_embolden(escape(str(cell))) for cell in row] for row in table.rows)
    return write_table(map(escape, table.columns), rows)


def _embolden(cell: str) -> str:
    star = escape(MARK)
    return f"**{cell.removesuffix(star)}**" if cell.endswith(star) else cell


def _say_stages(line: Facts) -> list[str]:
    """How each stage's training went."""
    return [
        f"- {escape(' + '.join(stage['taught']))}: {stage['steps']} steps, loss {stage['first_loss']:.2f} → "
        f"{stage['last_loss']:.2f}, {stage['trainable_parameters']:,} trainable parameters"
        f"{''.join(f', {escape(name)} {value:g}' for name, value in stage['facts'].items() if value is not None)}"
        for stage in line["stages"]
        if stage["steps"]
    ]
