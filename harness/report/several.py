"""Several tasks in one table: what each run started from, where it came to, and how long it took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.atomic import write_whole
from harness.errors import UsageError
from harness.metrics.metric import Table
from harness.report.account import give_account
from harness.report.markdown import write_table
from harness.report.wording import say_number

if TYPE_CHECKING:
    from harness.experiment import Run
    from harness.report.account import Account

TITLES = ("task", "model", "metric", "base", "tuned", "delta", "interval", "rows", "seconds", "verdict")
NARROW = ("task", "metric", "base", "tuned", "delta", "rows", "seconds", "verdict")
"""The columns that 80 characters have room for."""
BEGIN, END = "<!-- runs -->", "<!-- end -->"
"""Between these lines a document holds the tables."""


def tabulate_runs(runs: Sequence[Run], skipped: Mapping[str, str]) -> tuple[Table, ...]:
    """The one table of runs of several tasks, of which none is skipped."""
    lines = list_runs(map(give_account, runs))
    return (Table(title="Base and tuned", columns=TITLES, rows=tuple(lines)),)


def list_runs(accounts: Iterable[Account]) -> list[tuple[str, ...]]:
    """A line for each run: its headline score, training and evaluation rows, and the seconds of the whole path."""
    return [_describe(account) for account in accounts]


def _describe(account: Account) -> tuple[str, ...]:
    facts, experiment = account.facts, account.experiment
    wanted = facts["headline"]
    entry = next((entry for entry in account.comparison["metrics"] if entry["metric"] == wanted), None)
    if entry is None:
        scores: tuple[str, ...] = ("-", "-", "-", "-")
    else:
        low, high = entry["interval"]
        scores = (
            say_number(entry["against"]),
            say_number(entry["candidate"]),
            say_number(entry["delta"], sign="+"),
            f"{say_number(low)} … {say_number(high)}",
        )
    return (
        experiment.task,
        account.tuned.manifest.model.name,
        wanted,
        *scores,
        f"{facts['training']['rows']} + {len(account.rows)}",
        f"{sum(facts['seconds'].values()):.0f}",
        facts["outcome"],
    )


def write_tables(tables: Sequence[Table], document: Path) -> None:
    """Put tables into a document, in the place of those it holds; a title stands above each where there are several.

    Raises:
        UsageError: the document has no place for them.
    """
    before, after = require_place(document)
    shown = [
        "\n".join([*([f"{table.title}:", ""] if len(tables) > 1 else []), *write_table(table.columns, _texts(table))])
        for table in tables
    ]
    text = "\n\n".join(shown)
    write_whole(document, f"{before}{BEGIN}\n{text}\n{END}\n{after}".encode())


def _texts(table: Table) -> list[list[str]]:
    """The cells of a table; no text may part one in two."""
    return [[" ".join(str(cell).split()).replace("|", "\\|") for cell in line] for line in table.rows]


def require_place(document: Path) -> tuple[str, str]:
    """What stands in a document before and behind the place of the table.

    Raises:
        UsageError: it cannot be read, or has no such place.
    """
    try:
        text = document.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{document} cannot be read: {error}.", fix="Name a Markdown document.") from error
    before, begin, rest = text.partition(f"{BEGIN}\n")
    _, end, after = rest.partition(f"{END}\n")
    if not (begin and end):
        raise UsageError(
            f"{document} has no place for the table.", fix=f'Write the lines "{BEGIN}" and "{END}" where it should go.'
        )
    return before, after
