"""Several runs in one table."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.cli.several import list_tasks
from harness.errors import SettingsError, UsageError
from harness.gate import ExitCode, gravest
from harness.report.account import give_account
from harness.report.several import BEGIN, END, TITLES, list_runs, tabulate_runs, write_tables
from harness.tasks import TASKS
from tests.runs import make_run


def test_each_run_has_its_line() -> None:
    """Task, model, headline score of base and tuned, rows, seconds and outcome."""
    (line,) = list_runs([give_account(make_run([1.0] * 12, [9.0] * 12))])
    found = dict(zip(TITLES, line, strict=True))
    assert (found["task"], found["metric"], found["base"], found["tuned"]) == (
        "summarization",
        "rouge1",
        "1.00",
        "9.00",
    )
    assert (found["delta"], found["rows"], found["seconds"], found["verdict"]) == ("+8.00", "1 + 12", "1", "improved")


def test_table_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    """The rest of the document stays; written twice it is the same."""
    document = tmp_path / "page.md"
    document.write_text(f"# Title\n{BEGIN}\nold\n{END}\nrest\n", encoding="utf-8")
    tables = tabulate_runs([make_run([1.0] * 12, [9.0] * 12)] * 2, {})
    write_tables(tables, document)
    once = document.read_text(encoding="utf-8")
    assert once.startswith(f"# Title\n{BEGIN}\n| task |")
    assert once.endswith(f"{END}\nrest\n")
    assert "old" not in once
    assert once.count("summarization") == 2
    write_tables(tables, document)
    assert document.read_text(encoding="utf-8") == once


@pytest.mark.parametrize("content", [None, "no place here\n", f"{END}\n{BEGIN}\n"])
def test_document_without_a_place_is_an_error(tmp_path: Path, content: str | None) -> None:
    """Nothing is written where the table does not belong."""
    document = tmp_path / "page.md"
    if content is not None:
        document.write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=r"cannot be read|has no place"):
        write_tables((), document)
    assert content is None or document.read_text(encoding="utf-8") == content


def test_all_means_every_task_and_nothing_else() -> None:
    """Each task has an embedded experiment; an experiment or data beside "all" is a contradiction."""
    assert [experiment.task for experiment in list_tasks(None, None)] == list(TASKS)
    with pytest.raises(SettingsError, match='"seed-notebook" belongs to one task'):
        list_tasks("seed-notebook", None)
    with pytest.raises(SettingsError, match=r'"rows\.csv" belongs to one task'):
        list_tasks(None, "rows.csv")


def test_gravest_code_counts() -> None:
    """One failed run among several is a failure."""
    assert gravest([ExitCode.PASSED, ExitCode.INCONCLUSIVE, ExitCode.FAILED, ExitCode.NO_CHANGE]) is ExitCode.FAILED
    assert gravest([ExitCode.PASSED]) is ExitCode.PASSED
