"""What reports show beside the scores."""

from __future__ import annotations

from dataclasses import replace

from harness.metrics.metric import Table
from harness.report.account import give_account
from harness.report.facts import describe_run
from harness.report.html import write_html
from harness.report.markdown import write_markdown
from harness.report.methods import tabulate_methods
from harness.report.notebook import show_run
from harness.report.tables import pair_tables
from harness.report.terminal import say_run
from tests.runs import HOSTILE, make_run

CONFUSION = Table(
    title=f"confusion {HOSTILE}",
    columns=("gold", "one", HOSTILE),
    rows=(("one", 3, 1), (HOSTILE, 0, 4)),
    shaded=True,
)
F1 = Table(title="by type", columns=("type", "F1"), rows=(("PER", 66.6667),))


def test_base_and_tuned_stand_side_by_side() -> None:
    """Each title once, with base and tuned in this order; numbers of a shaded table are as dark as their share."""
    run = replace(make_run([1.0] * 8, [9.0] * 8), tables={"base": (CONFUSION,), "tuned": (CONFUSION, F1)})
    pairs = pair_tables(describe_run(run))
    assert list(pairs) == [CONFUSION.title, "by type"]
    assert [shown.role for shown in pairs[CONFUSION.title]] == ["base", "tuned"]
    assert [cell.shade for cell in pairs[CONFUSION.title][0].lines[0]] == [0.0, 0.75, 0.25]
    assert [[cell.text for cell in line] for line in pairs["by type"][0].lines] == [["PER", "66.67"]]


def test_reports_show_tables_and_escape_their_names() -> None:
    """A label's name is text in every report."""
    account = give_account(replace(make_run([1.0] * 8, [9.0] * 8), tables={"tuned": (CONFUSION, F1)}))
    page, text = write_html(account), write_markdown(account)
    assert "Beside the scores" in page
    assert "Beside the scores" in text
    assert "66.67" in page
    assert "| PER | 66.67 |" in text
    assert "<script>" not in page
    assert "| &lt;script>" in text


def test_no_table_no_section() -> None:
    """A run without tables, and one written before there were any, has no such section."""
    account = give_account(make_run([1.0] * 8, [9.0] * 8))
    del account.facts["tables"]
    assert "Beside the scores" not in write_html(account)
    assert "Beside the scores" not in write_markdown(account)


def test_wide_tables_stand_in_html_alone() -> None:
    """77 classes do not fit into Markdown, which says where they are."""
    wide = Table(title="wide", columns=tuple(map(str, range(78))), rows=(("a", *range(77)),))
    account = give_account(replace(make_run([1.0] * 8, [9.0] * 8), tables={"tuned": (wide,)}))
    assert "wide has 78 columns: see report.html" in write_markdown(account)
    assert "<td>76</td>" in write_html(account)


def test_what_a_method_measured_and_warns_of_stands_in_every_report() -> None:
    """Its table and its warning are shown by terminal, Markdown and HTML, and in the comparison of methods."""
    table = Table(title=f"method {HOSTILE}", columns=("measured", "start"), rows=(("reward", "0.125"),))
    run = replace(make_run([1.0] * 8, [9.0] * 8), method_tables=(table,), warnings=(f"Beware. {HOSTILE}",))
    account = give_account(run)
    page, text, screen = write_html(account), write_markdown(account), say_run(run)
    for report in (page, text, screen):
        assert "0.125" in report
        assert "Beware." in report
    section = text[text.index("## Method") : text.index("## Requirements")]
    assert "<script>" not in page + section
    assert "Beware." in show_run(run)
    shown = tabulate_methods([run], {})
    assert table in shown
    assert shown[-1].rows == (("full", run.warnings[0]),)


def test_a_method_that_says_nothing_has_no_section() -> None:
    """Nor has a run that was written before methods had tables."""
    account = give_account(make_run([1.0] * 8, [9.0] * 8))
    del account.facts["method_tables"], account.facts["warnings"]
    assert "<h2>Method" not in write_html(account)
    assert "## Method" not in write_markdown(account)
