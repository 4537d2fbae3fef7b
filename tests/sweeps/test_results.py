"""The report of a sweep: which candidates are best, and what every format shows."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from harness.printable import UNSAFE
from harness.report.facts import Facts
from harness.report.sweeps.html import write_html
from harness.report.sweeps.markdown import write_markdown
from harness.report.sweeps.terminal import print_sweep
from harness.sweeps import results
from harness.sweeps.run import run_sweep
from harness.sweeps.work import CellOrder
from tests.runs import HOSTILE
from tests.sweeps.by_hand import Here, make_archive, noisy, small_sweep

GAINS = {"full": 0.0, "lora": 0.05, "adapters": -8.0}


def score_by_method(order: CellOrder) -> bytes:
    """Full and lora differ by noise; adapters are 8 points behind."""
    gain = GAINS[order.cell.method]
    return make_archive(
        order, (noisy(10 * list(GAINS).index(order.cell.method) + order.cell.seed) + gain).round(4).tolist()
    )


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> Facts:
    """The report of three methods with three seeds."""
    sweep = small_sweep(methods=list(GAINS), seeds=[1, 2, 3])
    return run_sweep(sweep, Here(), runs=tmp_path_factory.mktemp("runs"), work=score_by_method).facts


def test_best_is_named_and_what_cannot_be_told_apart_from_it(facts: Facts) -> None:
    """Of three methods the last is really behind; the first two stand side by side."""
    (task,) = facts["tasks"]
    assert {line["method"]: line["standing"] for line in task["lines"]} == {
        "full": "not told apart",
        "lora": "best",
        "adapters": "behind",
    }
    assert len(task["pairs"]) == 3


def test_line_has_the_mean_over_the_seeds_and_its_interval(facts: Facts) -> None:
    """Tuned is the mean of the seeds' scores, and delta that to the base, which is one point less in the mean."""
    line = facts["tasks"][0]["lines"][0]
    means = [float(noisy(seed).mean()) for seed in (1, 2, 3)]
    assert line["by_seed"] == pytest.approx(means, abs=1e-4)
    assert line["tuned"] == pytest.approx(sum(means) / 3, abs=1e-4)
    low, high = line["interval"]
    assert line["delta"] == pytest.approx(1, abs=1e-3)
    assert low < line["delta"] < high


def test_candidate_without_all_its_seeds_is_compared_with_none(tmp_path: Path) -> None:
    """Its line has no sign, and a note says so; the others are compared."""

    def work(order: CellOrder) -> bytes:
        if (order.cell.method, order.cell.seed) == ("adapters", 2):
            raise ZeroDivisionError
        return score_by_method(order)

    sweep = small_sweep(methods=list(GAINS))
    (task,) = run_sweep(sweep, Here(), runs=tmp_path, work=work).facts["tasks"]
    assert [(line["method"], len(line["seeds"]), line["standing"]) for line in task["lines"]][2] == (
        "adapters",
        1,
        None,
    )
    assert len(task["pairs"]) == 1
    assert task["notes"] == ["1 of 3 candidates lack seeds or have other rows, and are compared with none."]


def test_too_many_pairs_are_not_compared_and_the_report_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No sign and no pair, instead of all memory."""
    monkeypatch.setattr(results, "MOST_PAIRS", 2)
    done = run_sweep(small_sweep(methods=list(GAINS)), Here(), runs=tmp_path, work=score_by_method)
    (task,) = done.facts["tasks"]
    assert {line["standing"] for line in task["lines"]} == {None}
    assert task["notes"] == ["3 pairs of candidates are more than the 2 that are tested together."]
    assert "more than the 2" in (done.folder / "report.md").read_text(encoding="utf-8")


def test_terminal_has_room_for_all_of_it(facts: Facts) -> None:
    """No line is wider than 80 columns, and all methods are there."""
    console = Console(width=80, record=True, file=StringIO())
    print_sweep(facts, console)
    text = console.export_text()
    assert max(map(len, text.splitlines())) <= 80
    assert all(method in text for method in GAINS)
    assert "9 of 9 cells done" in text


def test_terminal_gets_no_command(facts: Facts) -> None:
    """Neither from a name, a note, a reason nor an error: what commands a terminal is spelled out."""
    attack = "\x1b[2J\x9b31m"
    failed = {"task": attack, "model": attack, "method": None, "seed": None, "cells": 1, "tries": 1, "kind": "X",
              "message": attack, "errors": attack}  # fmt: skip
    unfit = {"task": attack, "model": attack, "method": "full", "reason": attack}
    text = StringIO()
    tasks = [{**task, "task": attack, "notes": [attack]} for task in facts["tasks"]]
    hostile = {**facts, "failed": [failed], "unfit": [unfit], "name": attack, "tasks": tasks}
    print_sweep(hostile, Console(width=80, file=text, no_color=True))
    assert "\\u001b" in text.getvalue()
    assert not UNSAFE.search(text.getvalue())


def test_no_format_lets_texts_become_markup(facts: Facts) -> None:
    """Errors and reasons are texts of models and data, and stay texts."""
    failed = {"task": HOSTILE, "model": HOSTILE, "method": None, "seed": None, "cells": 1, "tries": 1, "kind": "X",
              "message": HOSTILE, "errors": None}  # fmt: skip
    unfit = {"task": "t", "model": HOSTILE, "method": "full", "reason": HOSTILE}
    hostile = {**facts, "failed": [failed], "unfit": [unfit], "name": HOSTILE}
    html, markdown = write_html(hostile, HOSTILE), write_markdown(hostile)
    for text in (html, markdown):
        assert "<script" not in text
        assert "<img" not in text
    assert "{{ 7*7 }}" in html
