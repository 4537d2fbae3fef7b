"""The HTML report: whole, escaped, small, and the same when it is made anew."""

from __future__ import annotations

import dataclasses
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli.report import report_command
from harness.config import load_experiment
from harness.errors import BaselineError, HarnessError, UsageError
from harness.experiment import Run
from harness.report.account import give_account, read_account, write_text
from harness.report.checks import CheckLine, read_checks
from harness.report.differences import LONGEST
from harness.report.folder import write_run
from harness.report.html import write_html
from harness.report.templating import tone
from tests.arms import make_arm
from tests.runs import HOSTILE, make_run

CHECKS = (
    CheckLine(name="labels are the targets", status="passed", seen="16 rows"),
    CheckLine(name=HOSTILE, status="failed", seen="3 of 8 rows", remedy="Mask padding <b>only</b>."),
)


class Reader(HTMLParser):
    """Collects elements, attributes and texts of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Called by the parser."""
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Called by the parser."""
        self.texts.append(data)


@pytest.fixture(scope="module")
def better() -> Run:
    rng = np.random.default_rng(0)
    base = rng.normal(20, 5, 50).tolist()
    return make_run(base, rng.normal(40, 5, 50).tolist(), stored=make_arm([value + 1 for value in base]))


def test_page_has_all_parts_in_order(better: Run) -> None:
    """Verdict in plain words first, then metrics, baseline, rows, checks, speed, and how to reproduce."""
    page = write_html(give_account(better, CHECKS))
    text = "".join(Reader(page).texts)
    parts = [
        "The tuned model is better than its base: rouge1 went from", "The one requirement holds.",
        "Metrics", "95 % interval", "Stored baseline", "tuned vs stored tuned: improved", "Rows and training",
        "2 steps, loss 3.00", "Rows that moved most", "reference", "base", "tuned", "Checks", "3 of 8 rows",
        "Mask padding <b>only</b>.", "Speed", "How to reproduce", "harness run experiment.json", '"name": "x"',
    ]  # fmt: skip
    assert re.search(".*".join(map(re.escape, parts)), text, re.DOTALL)
    assert len(re.findall("<svg ", page)) == 6
    assert "Checks" not in "".join(Reader(write_html(give_account(better))).texts)


def test_no_text_becomes_markup(better: Run) -> None:
    """Hostile rows, outputs and checks are there to read, and no element or attribute of the page comes from them."""
    page = write_html(give_account(better, CHECKS))
    read = Reader(page)
    assert not {"script", "img", "iframe", "object", "embed", "link", "base", "form"} & {
        tag for tag, _ in read.elements
    }
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]
    text = "".join(read.texts)
    assert text.count('<script>alert("x")</script>') > 15
    assert "{{ 7*7 }}" in text
    assert HOSTILE in text


def test_page_loads_and_runs_nothing(better: Run) -> None:
    """The policy stands before all else, and no element names a place outside of the page."""
    page = write_html(give_account(better))
    assert page.lstrip().startswith("<!doctype html>")
    policy = next(a["content"] for _, a in Reader(page).elements if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "script-src" not in policy
    assert page.index("Content-Security-Policy") < page.index("<style>")
    for _, attributes in Reader(page).elements:
        for name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
            assert (attributes.get(name) or "#").startswith("#")
    assert not re.search(r"@import|url\((?!#)", page)


def test_page_of_a_large_run_stays_small() -> None:
    """11,334 rows with outputs of 20,000 characters each: under 2 MB."""
    rng = np.random.default_rng(0)
    small = make_run(rng.uniform(0, 50, 300).tolist(), rng.uniform(0, 60, 300).tolist())
    account = give_account(small)
    long = HOSTILE + "<&" * 10_000
    count = 11_334
    base, tuned = (
        arm.model_copy(
            update={"rows": tuple(arm.rows[n % 300].model_copy(update={"output": long}) for n in range(count))}
        )
        for arm in (account.base, account.tuned)
    )
    rows = tuple(dataclasses.replace(account.rows[n % 300], input=long) for n in range(count))
    account = dataclasses.replace(
        account, base=base, tuned=tuned, rows=rows, losses=tuple(rng.uniform(0, 9, 100_000).tolist())
    )
    page = write_html(account)
    assert len(page.encode()) < 1_000_000
    assert "1500 of them are drawn" in page


def test_few_and_equal_rows_make_a_page_too() -> None:
    """Three rows without an interval, and outputs that are all the same: no chart, number or row is invented."""
    few = write_html(give_account(make_run([1.0, 2.0, 3.0], [5.0, 6.0, 8.0])))
    assert "3 rows are too few" in few
    assert not re.search(r"\b(nan|inf)\b", "".join(Reader(few).texts))
    same = make_run([1.0] * 4, [1.0] * 4)
    same = dataclasses.replace(same, losses=())
    assert "None moved." in write_html(give_account(same))


def test_reports_are_made_anew_from_the_folder(better: Run, tmp_path: Path) -> None:
    """What ``harness report`` writes is, byte for byte, what the run wrote; checks can be added."""
    folder = write_run(better, tmp_path, checks=CHECKS)
    assert read_account(folder) == give_account(better, CHECKS)
    before = {name: (folder / name).read_bytes() for name in ("report.html", "report.md")}
    for name in before:
        (folder / name).unlink()
    done = CliRunner().invoke(report_command, [str(folder)], catch_exceptions=False)
    assert "report.html" in done.output
    assert {name: (folder / name).read_bytes() for name in before} == before
    other = tmp_path / "checks.json"
    other.write_text(json.dumps([{"name": "n", "status": "skipped", "seen": "no GPU"}]), encoding="utf-8")
    CliRunner().invoke(report_command, [str(folder), "--checks", str(other)], catch_exceptions=False)
    assert "no GPU" in (folder / "report.html").read_text(encoding="utf-8")


def test_audit_as_json_is_read_too(tmp_path: Path) -> None:
    """What an audit prints as JSON is taken as it is; every status that it knows has its colour; others are refused."""
    path = tmp_path / "audit.json"
    words = {"passed": "good", "failed": "bad", "error": "bad", "skipped": "doubt", "expected failure": "doubt"}
    results = [{"check": f"c {word}", "status": word, "seen": "s", "remedy": "r", "stage": "data"} for word in words]
    path.write_text(json.dumps({"pipeline": "p", "results": results}), encoding="utf-8")
    lines = read_checks(path)
    assert [(line.name, line.status, line.seen, line.remedy) for line in lines] == [
        (f"c {word}", word, "s", "r") for word in words
    ]
    assert {line.status: tone(line.status) for line in lines} == words
    for wrong in ('{"results": [1]}', '{"results": 1}', '[{"name": "n", "status": "fine", "seen": ""}]', "1"):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(UsageError, match=re.escape("audit.json")):
            read_checks(path)


def test_settings_in_the_page_run_again(better: Run, tmp_path: Path) -> None:
    """The settings that the page shows, saved as it says, are the experiment."""
    page = write_html(give_account(better))
    shown = next(text for text in Reader(page).texts if text.startswith("{") and '"name"' in text)
    path = tmp_path / "experiment.json"
    path.write_text(shown, encoding="utf-8")
    assert load_experiment(str(path)) == better.experiment


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("verdict.json", None, UsageError),
        ("verdict.json", "{}", UsageError),
        ("verdict.json", "[]", UsageError),
        ("experiment.json", "{", UsageError),
        ("losses.jsonl", '{"step": 1}\n', UsageError),
        ("eval-rows.jsonl", "", UsageError),
        ("eval-rows.jsonl", "{}\n", UsageError),
        ("checks.json", '[{"name": 1}]', UsageError),
        ("base/rows.jsonl", "", BaselineError),
    ],
)
def test_broken_folder_is_an_error_that_names_the_file(
    better: Run, tmp_path: Path, name: str, content: str | None, kind: type[HarnessError]
) -> None:
    """A file that is missing, cut short or something else is named."""
    path = write_run(better, tmp_path, checks=CHECKS) / name
    if content is None:
        path.unlink()
    else:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(kind, match=re.escape(name)):
        read_account(path.parent if "/" not in name else path.parents[1])


def test_outputs_that_are_no_unicode_do_not_lose_the_run(tmp_path: Path) -> None:
    """Half a surrogate pair, as a byte-level model may say, is written as a question mark in reports."""
    run = make_run([1.0, 2.0, 3.0], [9.0, 8.0, 7.0])
    page = write_html(give_account(run)).replace("targets", "targ\ud800ets")
    path = tmp_path / "report.html"
    write_text(path, page)
    assert "targ?ets" in path.read_text(encoding="utf-8")


def test_texts_are_cut_where_they_are_shown() -> None:
    """An input longer than is shown ends with an ellipsis."""
    run = make_run([1.0, 2.0, 3.0], [9.0, 8.0, 7.0])
    rows = tuple(dataclasses.replace(row, input="y" * 2 * LONGEST) for row in run.splits.eval)
    page = write_html(dataclasses.replace(give_account(run), rows=rows))
    assert f"{'y' * (LONGEST - 1)}…" in page
    assert "y" * LONGEST not in page
