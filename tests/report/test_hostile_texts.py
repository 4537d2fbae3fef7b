"""Outputs that attack whoever looks at them: in a browser, as Markdown, and on a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from markdown_it import MarkdownIt

from harness.baselines import Baseline, store_baseline
from harness.cli.baseline import baseline
from harness.defects.pages import write_heat_map
from harness.experiment import Run
from harness.printable import UNSAFE
from harness.report.account import give_account
from harness.report.html import write_html
from harness.report.markdown import write_markdown
from harness.report.terminal import say_run
from tests.arms import make_arm
from tests.browser import browse
from tests.runs import make_run

ATTACK = (
    '"><script>document.title = "attacked"</script><img src=x onerror="document.title = 1"> '
    "<a href='javascript:document.title = 1'>a</a> [b](javascript:alert(1)) ![c](http://x/y.png) <http://x> "
    "<svg onload=alert(1)> </style></title> | `` ` @someone # h \x1b[2J\x1b]0;title\x07\x9b31m \u202edecurof\u2066 "
)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run all of whose texts attack."""
    monkeypatch.setattr("tests.runs.HOSTILE", ATTACK)
    return make_run([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 8.0, 9.0])


def test_page_shows_attacks_and_runs_none(run: Run, tmp_path: Path) -> None:
    """In a real browser: no element comes of them, nothing runs, no line is reordered, and they are there to read."""
    page = tmp_path / "report.html"
    page.write_text(write_html(give_account(run)), encoding="utf-8")
    dom = browse(page, profile=tmp_path / "profile")
    assert "<title>x: inconclusive</title>" in dom
    assert not [tag for tag in ("<script", "<img", "<a ", "<a>", "<iframe", 'onload="') if tag in dom]
    assert "&lt;script&gt;" in dom
    assert "\\u202edecurof\\u2066" in dom
    assert not UNSAFE.search(dom.replace("\r", ""))


def test_markdown_shows_attacks_as_code(run: Run) -> None:
    """Rendered with tables and raw HTML on: no element but those of the report, no link, no image."""
    text = write_markdown(give_account(run))
    html = MarkdownIt("commonmark", {"html": True, "linkify": True}).enable("table").render(text)
    assert not [tag for tag in ("<script", "<img", "<a ", "<svg", "</style>") if tag in html]
    assert "&lt;script&gt;" in html
    assert not UNSAFE.search(text)


def test_terminal_gets_no_command(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither from a verdict nor from what a baseline's arms say, why, or made them."""
    monkeypatch.delenv("CI", raising=False)
    assert not UNSAFE.search(say_run(run))
    base, tuned = (
        make_arm([1.0, 2.0], outputs=[f"{ATTACK}{shift}", "b"], role=role, weights=role, environment={ATTACK: ATTACK},
                 training={"seed": shift})
        for shift, role in enumerate(("base", "tuned"))
    )  # fmt: skip
    store_baseline(tmp_path, Baseline(base=base, tuned=tuned), why=ATTACK, force=True)
    done = CliRunner().invoke(baseline, ["show", "x", "--baselines", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "\\u001b[2J" in done.output
    assert not UNSAFE.search(done.output)


def test_matrix_of_defects_is_escaped() -> None:
    """Names, descriptions and reasons of defects are text."""
    entry = {
        "stage": ATTACK, "name": ATTACK, "description": ATTACK, "symptom": ATTACK, "caught": True, "named": False,
        "results": {ATTACK: "failed"},
    }  # fmt: skip
    page = write_heat_map(
        {"caught": 1, "total": 1, "named": 0, "false_alarms": 0, "clean_audits": 0, "checks": [ATTACK],
         "defects": [entry], "clean": [], "not_reproduced": {ATTACK: ATTACK}}
    )  # fmt: skip
    assert not [tag for tag in ("<script", "<img", "<a ", "<svg") if tag in page]
    assert "&lt;script&gt;" in page
