"""Each verdict has an outcome of its own in pytest: a word, a letter and a count, and never that of a pass."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

PROPERTY = "harness.status"
"""The property of a test's report that holds the status of its requirement; JUnit files show it."""
OUTCOMES = {
    "no change": ("no change", "0", "NO CHANGE"),
    "undecided": ("inconclusive", "?", "INCONCLUSIVE"),
    "not comparable": ("not comparable", "N", "NOT COMPARABLE"),
    "identical": ("identical", "=", "IDENTICAL"),
}
"""Status to pytest's category, letter and word; what holds is passed, and what fails is failed."""


def name_outcome(report: pytest.CollectReport | pytest.TestReport) -> tuple[str, str, str] | None:
    """The outcome of a requirement's test; nothing for all other tests, and where pytest's own word says it."""
    if report.when != "call" or not report.failed:
        return None
    return OUTCOMES.get(str(dict(report.user_properties).get(PROPERTY)))


def print_outcomes(terminalreporter: pytest.TerminalReporter) -> None:
    """The reasons, which pytest prints for its own categories only."""
    for report in _reports(terminalreporter):
        word = OUTCOMES[str(dict(report.user_properties)[PROPERTY])][2]
        terminalreporter.write_sep("_", f"{word}: {report.nodeid.removeprefix('::')}")
        terminalreporter.write_line(report.longreprtext)


def _reports(terminalreporter: pytest.TerminalReporter) -> Iterator[pytest.TestReport]:
    for category, _, _ in OUTCOMES.values():
        yield from terminalreporter.stats.get(category, ())
