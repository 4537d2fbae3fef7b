"""In a notebook: what is shown is small, escaped, and looks like the report."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.experiment import Run
from tests.arms import make_arm
from tests.browser import browse
from tests.runs import HOSTILE, make_run


@pytest.fixture(scope="module")
def run() -> Run:
    return make_run([20.0, 21.0] * 20, [40.0, 43.0] * 20, stored=make_arm([20.0, 21.0] * 20))


def displayed(thing: object) -> dict[str, str]:
    """What IPython shows of a thing that is the last value of a cell: mime type to text."""
    formatters = pytest.importorskip("IPython.core.formatters")
    data, _ = formatters.DisplayFormatter().format(thing)
    return dict(data)


@pytest.mark.parametrize("name", ["run", "base", "tuned", "verdict", "comparison", "not comparable"])
def test_each_shows_itself(run: Run, name: str) -> None:
    """IPython takes the HTML of runs, arms, verdicts and comparisons: small, whole, and free of scripts."""
    other = make_run([1.0] * 6, [9.0, 8.0] * 3, stored=make_arm([1.0] * 6, ids=list("abcdef")))
    comparisons = run.verdict.comparisons
    thing, texts = {
        "run": (
            run,
            ["x", "improved", "The tuned model is better", "95 % interval", "tuned vs stored tuned", "accept x"],
        ),
        "base": (run.base, ["x · base", "40 rows", "rouge1", "20.50", "&lt;script&gt;"]),
        "tuned": (run.tuned, ["x · tuned", "41.50"]),
        "verdict": (run.verdict, ["tuned must beat base on rouge1", "holds", "Exit code 0"]),
        "comparison": (comparisons.tuned_base, ["tuned vs base", "improved", "40 outputs differ", "+21.00"]),
        "not comparable": (other.verdict.comparisons.tuned_stored, ["not comparable", "0 of 6 rows are the same"]),
    }[name]
    html = displayed(thing)["text/html"]
    assert not [text for text in texts if text not in html]
    assert "<script" not in html
    assert HOSTILE not in html
    assert len(html) < 8_000
    assert html.count("<div") == html.count("</div>")


def test_numbers_are_those_of_the_report(run: Run) -> None:
    """The cells of the table are the same whether a run, its verdict or its comparison is shown."""
    cells = [
        re.findall("<td>(.*?)</td>", displayed(thing)["text/html"])
        for thing in (run, run.verdict, run.verdict.comparisons.tuned_base)
    ]
    assert cells[0] == cells[1] == cells[2]
    assert len(cells[0]) == 7


def test_plain_text_stays(run: Run) -> None:
    """Where HTML is not shown, in a terminal, the usual text is."""
    assert displayed(run.verdict)["text/plain"].startswith("Verdict(")


def test_style_stays_inside(run: Run, tmp_path: Path) -> None:
    """In a page of others, as a notebook is, every rule of the style is meant for the harness alone."""
    html = displayed(run)["text/html"]
    (style,) = re.findall("<style>(.*?)</style>", html, re.DOTALL)
    rules = re.findall(r"([^{}]+)\{", re.sub(r"@media[^{]*\{", "", style))
    assert rules
    assert all(part.strip().startswith(".harness") for rule in rules for part in rule.split(",") if "color" not in part)
    page = tmp_path / "page.html"
    page.write_text(f"<!doctype html><title>t</title>{html}", encoding="utf-8")
    assert "&lt;img src=x" not in browse(page, profile=tmp_path / "profile")
