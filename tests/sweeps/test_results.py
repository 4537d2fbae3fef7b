"""The report of a sweep: which candidates are best, and what every format shows."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from harness.printable import UNSAFE
from harness.report.facts import Facts
from harness.report.sweeps.html import write_html
from harness.report.sweeps.markdown import write_markdown
from harness.report.sweeps.tables import say_sweep
from harness.report.sweeps.terminal import print_sweep
from harness.sweeps import results
from harness.sweeps.run import run_sweep
from harness.sweeps.work import CellOrder
from tests.runs import HOSTILE
from tests.sweeps.by_hand import BASE_SECONDS, Here, make_archive, noisy, small_sweep

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


def test_seconds_of_a_candidate_are_not_those_of_its_base(tmp_path: Path) -> None:
    """Which cell of a worker scores the base is chance, so it is counted for the sweep, and not for the candidate."""
    done = run_sweep(small_sweep(seeds=[1, 2, 3]), Here(), runs=tmp_path, work=score_by_method)
    lines = done.facts["tasks"][0]["lines"]
    took = [
        sum(json.loads((done.folder / folder / "cell.json").read_text())["seconds"] for folder in line["folders"])
        for line in lines
    ]
    for line, seconds in zip(lines, took, strict=True):
        assert line["base_seconds"] == pytest.approx(3 * BASE_SECONDS)
        assert line["seconds"] == pytest.approx(seconds - 3 * BASE_SECONDS, abs=2e-3)
    assert done.facts["cost"]["seconds"] == pytest.approx(sum(took), abs=0.06)


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


@pytest.mark.parametrize(
    ("standings", "said"),
    [
        (
            ("not told apart", "best", "behind"),
            "no best can be told: tiny-t5, lora has the best mean of 3, not told apart from tiny-t5, full",
        ),
        (("behind", "best", "behind"), "tiny-t5, lora is the best of 3 (against the base: improved)"),
        ((None, "best", "behind"), "tiny-t5, lora is the best of 2 (against the base: improved)"),
    ],
)
def test_headline_says_which_is_best_where_that_is_told(
    facts: Facts, standings: tuple[str | None, ...], said: str
) -> None:
    """The one that all others are really behind, or that there is none; of those alone that were compared."""
    (task,) = facts["tasks"]
    lines = [{**line, "standing": standing} for line, standing in zip(task["lines"], standings, strict=True)]
    shown = {**facts, "tasks": [{**task, "lines": lines}]}
    assert say_sweep(shown).startswith(f"{task['task']}: {said}. 9 of 9 cells done")


def test_headline_is_silent_where_nothing_was_compared(facts: Facts) -> None:
    """It names none as best."""
    (task,) = facts["tasks"]
    lines = [{**line, "standing": None} for line in task["lines"]]
    assert say_sweep({**facts, "tasks": [{**task, "lines": lines}]}).startswith("9 of 9 cells done")


def test_every_cell_is_found_from_the_report(facts: Facts) -> None:
    """Its key stands in every format beside model, method and seed; pages link to its folder."""
    (task,) = facts["tasks"]
    folders = [folder for line in task["lines"] for folder in line["folders"]]
    assert len(set(folders)) == 9
    console = Console(width=80, record=True, file=StringIO())
    print_sweep(facts, console)
    printed, html, markdown = console.export_text(), write_html(facts, ""), write_markdown(facts)
    for folder in folders:
        key = folder.removeprefix("cells/")
        assert key in printed
        assert f'<a href="{folder}">{key}</a>' in html
        assert f"[{key}]({folder})" in markdown
    lora = task["lines"][1]
    assert f"| tiny-t5 | lora | 2 | [{lora['folders'][1].removeprefix('cells/')}]" in markdown


def test_numbers_stand_to_the_right_and_texts_to_the_left(facts: Facts) -> None:
    """In Markdown and HTML, as on a terminal."""
    lines = write_markdown(facts).splitlines()
    place = next(place for place, line in enumerate(lines) if line.startswith("| model | method | seeds |"))
    rule = lines[place + 1].strip("| ").split(" | ")
    assert rule == ["---", "---", "---:", "---:", "---:", "---:", "---:", "---", "---"]
    html = write_html(facts, "")
    assert '<td class="text">lora</td>' in html
    assert '<td class="text">improved</td>' in html
    assert '<td class="text">3</td>' not in html
    assert "<td>3</td>" in html


def test_bytes_are_called_after_what_they_hold(facts: Facts) -> None:
    """What a model adds to the base, what a cell's folder holds, and all of them: three names."""
    markdown = write_markdown(facts)
    assert "| stored beside base | cell folder |" in markdown
    assert "in all cell folders." in markdown
    assert "on disk" not in markdown


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
