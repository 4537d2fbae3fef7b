"""Several runs in one table: what each started from, where it came to, and how long it took."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.report.markdown import write_table
from harness.report.wording import say_number

if TYPE_CHECKING:
    from harness.report.account import Account

TITLES = ("task", "model", "metric", "base", "tuned", "delta", "interval", "rows", "seconds", "verdict")
BEGIN, END = "<!-- runs -->", "<!-- end -->"
"""Between these lines a document holds the table."""


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
            f"{entry['against']:.2f}",
            f"{entry['candidate']:.2f}",
            f"{entry['delta']:+.2f}",
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


def write_runs(accounts: Sequence[Account], document: Path) -> None:
    """Put the table into a document, in the place of the one it holds.

    Raises:
        UsageError: the document has no place for it.
    """
    before, after = require_place(document)
    table = "\n".join(write_table(TITLES, list_runs(accounts)))
    document.write_text(f"{before}{BEGIN}\n{table}\n{END}\n{after}", encoding="utf-8", newline="\n")


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
