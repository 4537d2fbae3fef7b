"""The table of faults: what was done to how many processes, and what came of it.

``HARNESS_FAULTS_TABLE=docs/faults.md pytest -m faults`` writes it; ``HARNESS_KILLS`` says how many kills at random
moments there are to be.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from harness.metrics.metric import Table
from harness.report.several import write_tables
from tests.faults.process import find_runs, run

LINES: dict[str, tuple[str, str, int, str]] = {}
Note = Callable[[str, str, int, str], None]


@pytest.fixture
def note() -> Note:
    """Write a line of the table: the fault, how it was made, how often, and what came of it."""

    def write(fault: str, made: str, times: int, outcome: str) -> None:
        LINES[f"{fault} {made}"] = (fault, made, times, outcome)

    return write


@pytest.fixture(scope="session", autouse=True)
def table() -> Iterator[None]:
    """Write all lines into the document that the environment names."""
    yield
    if document := os.environ.get("HARNESS_FAULTS_TABLE"):
        columns = ("fault", "how it is made", "times", "what comes of it")
        write_tables([Table(title="Faults", columns=columns, rows=tuple(LINES.values()))], Path(document))


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the run that nothing happens to."""
    folder = tmp_path_factory.mktemp("undisturbed")
    ended = run(folder)
    assert ended.code in {0, 1, 3}, ended.said
    return find_runs(folder)[0]
