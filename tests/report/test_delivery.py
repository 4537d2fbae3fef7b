"""Where the verdict goes besides the run's folder: a job's summary, JUnit, an eighty-column terminal."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.report.account import give_account
from harness.report.facts import describe_run
from harness.report.junit import list_properties
from harness.report.markdown import append_summary, write_markdown
from harness.report.terminal import render_facts
from tests.runs import make_run
from tests.small import LEARNS
from tests.test_plugin import write_experiment

NUMBERS = st.floats(-100, 100).map(lambda value: round(value, 4))


def test_summary_is_appended_where_github_asks_for_it(tmp_path: Path) -> None:
    """Two runs of a job stand below what was there; without the variable nothing is written."""
    account = give_account(make_run([1.0, 2.0, 3.0], [9.0, 8.0, 7.0]))
    place = tmp_path / "summary.md"
    place.write_text("before\n", encoding="utf-8")
    for _ in range(2):
        append_summary(account, {"GITHUB_STEP_SUMMARY": str(place)})
    append_summary(account, {})
    assert place.read_text(encoding="utf-8") == "before\n" + 2 * (write_markdown(account) + "\n")
    assert [path.name for path in tmp_path.iterdir()] == ["summary.md"]


def test_summary_that_cannot_be_written_costs_no_verdict(tmp_path: Path) -> None:
    """A folder in its place is a warning that names it."""
    with pytest.warns(UserWarning, match="GITHUB_STEP_SUMMARY names"):
        append_summary(give_account(make_run([1.0], [2.0])), {"GITHUB_STEP_SUMMARY": str(tmp_path)})


@given(
    names=st.lists(st.text("abcdefgh-_1", min_size=1, max_size=40), min_size=1, max_size=4, unique=True),
    numbers=st.lists(NUMBERS, min_size=6, max_size=6),
    interval=st.booleans(),
)
def test_table_fits_eighty_columns_and_cuts_no_number(
    *, names: list[str], numbers: list[float], interval: bool
) -> None:
    """Whatever the metrics are called and however large the scores: 80 columns, and every number whole."""
    against, candidate, delta, low, high, detectable = numbers
    entry = {
        "against": against, "candidate": candidate, "delta": 2 * delta, "p_adjusted": 0.0001,
        "interval": [2 * low, 2 * high] if interval else [None, None],
        "smallest_detectable": detectable if interval else None,
    }  # fmt: skip
    facts = describe_run(make_run([1.0, 2.0, 3.0], [5.0, 6.0, 8.0]))
    facts["comparisons"][0]["metrics"] = [{"metric": name, **entry} for name in names]
    console = Console(file=io.StringIO(), width=80, no_color=True)
    console.print(render_facts(facts, console))
    text: str = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= 80
    for number in (
        f"{against:.2f}",
        f"{candidate:.2f}",
        f"{2 * delta:+.2f}",
        *[f"{detectable:.2f}"] * interval,
    ):
        assert text.count(number) >= len(names)


@pytest.mark.usefixtures("libraries")
@pytest.mark.slow
def test_junit_says_what_was_found(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the XML of pytest, each requirement's test case holds the verdict and all numbers, passed or failed."""
    require = ["tuned must beat base on rouge1", "base must not drift"]
    write_experiment(pytester.path, {**LEARNS, "gate.require": require})
    summary = pytester.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    result = pytester.runpytest_inprocess("--harness-check", "--junit-xml=found.xml")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*1 not comparable*"])
    cases = ET.parse(pytester.path / "found.xml").findall(".//testcase")  # noqa: S314 - made by this test
    (folder,) = (pytester.path / "runs" / "mine").iterdir()
    facts: dict[str, Any] = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    assert len(cases) == 2
    for number, case in enumerate(cases):
        found = {entry.get("name"): entry.get("value") for entry in case.iter("property")}
        assert found == {name: str(value) for name, value in list_properties(facts, number)}
        assert found["harness.status"] == ("holds", "not comparable")[number]
        assert float(found["harness.rouge1.delta"] or 0) == facts["comparisons"][0]["metrics"][0]["delta"]
    assert summary.read_text(encoding="utf-8").startswith("# mine: improved")
    assert (folder / "report.html").is_file()
