"""Reports of several tasks: every format shows the same numbers, and lets no text become markup."""

from __future__ import annotations

import io
import json
from functools import cache
from pathlib import Path

import numpy as np
from rich.console import Console

from harness.report.several import BEGIN, END, write_tables
from harness.report.strategies.charts import draw_matrix
from harness.report.strategies.facts import describe_study
from harness.report.strategies.folder import write_study
from harness.report.strategies.html import write_html
from harness.report.strategies.markdown import write_study as write_markdown
from harness.report.strategies.tables import say_single, tabulate_study
from harness.report.strategies.terminal import print_study
from harness.strategies.contest import compare_runs
from harness.strategies.run import MultitaskRun
from harness.strategies.study import Study
from harness.strategies.verdict import judge_run
from tests.runs import HOSTILE
from tests.strategies.by_hand import make_run

ALONE = np.array([[10.0, 10.0], [80.0, 10.0], [80.0, 70.0]])
FORGETS = np.array([[10.0, 10.0], [80.0, 12.0], [33.0, 70.0]])
JOINT = np.array([[10.0, 10.0], [81.0, 71.0]])


def a_run(line: str, levels: np.ndarray, seeds: int = 1) -> MultitaskRun:
    """A run around these levels, of twenty rows a task."""
    generator = np.random.default_rng(len(line))
    taught = ((0,), (1,)) if len(levels) == 3 else ((0, 1),)
    scores = [
        [levels[:, task, None] + generator.normal(0, 1, (len(levels), 20)) for task in range(2)] for _ in range(seeds)
    ]
    return make_run(scores, taught=taught, line=line)


@cache
def study(*names: str, seeds: int = 1) -> Study:
    """Strategies on the same two tasks; without names only the one that forgets."""
    levels = {"single": ALONE, "sequential": FORGETS, "joint": JOINT}
    runs = {name: a_run(name, levels[name], seeds) for name in names or ("sequential",)}
    first = next(iter(runs.values()))
    return Study(
        multitask=first.multitask,
        curriculum=first.curriculum,
        runs=runs,
        verdicts={name: judge_run(run, runs.get("single")) for name, run in runs.items()},
        contest=compare_runs(runs) if len(runs) > 1 else None,
        skipped={"adapters": HOSTILE} if len(runs) > 1 else {},
        seconds={"base": 1.0},
    )


def everything() -> Study:
    """All three."""
    return study("single", "sequential", "joint")


def printed(found: Study) -> str:
    """What stands on the terminal."""
    text = io.StringIO()
    print_study(describe_study(found), Console(width=80, no_color=True, file=text))
    return text.getvalue()


def test_one_strategy_shows_matrix_measures_and_sentences() -> None:
    """The diagonal is marked, forgetting has its number and its interval, and the verdict stands on top."""
    text = printed(study())
    cells = [line.split() for line in text.splitlines()]
    matrix = study().runs["sequential"].matrix()
    assert ["task-0", f"{matrix[1, 0]:.2f}*", f"{matrix[1, 1]:.2f}"] in cells
    assert ["task-1", f"{matrix[2, 0]:.2f}", f"{matrix[2, 1]:.2f}*"] in cells
    forgotten = study().verdicts["sequential"].measures["forgetting"]
    assert ["forgetting", f"{forgotten.value:.2f}", f"{forgotten.low:.1f}", "…", f"{forgotten.high:.1f}"] in cells
    assert text.startswith("x   sequential   HOLDS")
    assert "✓ average score must beat base" in text


def test_a_terminal_of_80_columns_cuts_nothing() -> None:
    """Of three strategies every column fits: no line is longer, and no name or number is cut."""
    text = printed(everything())
    assert max(map(len, text.splitlines())) <= 80
    assert all(name in text for name in ("single", "sequential", "joint", "BWT", "FWT", " s "))
    assert "single - sequential" in text


def test_what_is_not_defined_is_a_dash() -> None:
    """A joint run has an average, and no forgetting."""
    lines, *_ = tabulate_study(describe_study(everything()))
    joint = next(row for row in lines.rows if row[0] == "joint")
    assert joint[3:7] == ("-", "-", "-", "-")
    assert joint[1] != "-"


def test_who_loses_against_models_of_one_task_is_named() -> None:
    """The strategy that forgot the first task loses on it; the joint one is within its interval."""
    told = say_single(describe_study(everything()))
    assert told[0].startswith("sequential loses points against the single-task models on task-0 (4")
    assert told[1].startswith("joint is within its interval of the single-task models on every task")


def test_seeds_are_told_each() -> None:
    """Of two seeds both numbers stand beside the mean, and all of it is in the JSON."""
    facts = describe_study(study(seeds=2))
    (line,) = facts["lines"]
    assert len(line["matrices"]) == len(line["measures"]["forgetting"]["by_seed"]) == 2
    assert np.allclose(line["matrix"], np.mean(line["matrices"], axis=0), atol=1e-3)
    assert ", ".join(f"{value:.2f}" for value in line["measures"]["forgetting"]["by_seed"]) in write_markdown(facts)


def test_facts_are_plain_json_without_what_json_lacks() -> None:
    """Neither infinite numbers nor those that are not defined stand in it."""
    facts = describe_study(everything())
    assert json.loads(json.dumps(facts, allow_nan=False)) == facts
    assert facts["lines"][2]["measures"]["forgetting"]["value"] is None


def test_no_text_becomes_markup() -> None:
    """A reason that tries to break out of HTML and Markdown is shown as it is."""
    facts = describe_study(everything())
    page = write_html(facts, HOSTILE)
    assert "<script" not in page
    assert "<img" not in page
    assert "<script" not in write_markdown(facts)


def test_heat_map_has_each_score_and_frames_what_was_learned() -> None:
    """All six scores are in the picture as texts; each task has a frame, whose line is thick."""
    (line,) = describe_study(study())["lines"]
    svg = str(draw_matrix(line, ["task-0", "task-1"]))
    assert all(f"{score:.2f}" in svg for scores in line["matrix"] for score in scores)
    assert svg.count("stroke-width: 1.6") == 2
    darker, lighter = (draw_matrix({**line, "matrix": [[level, 0.0]] * 3}, ["a", "b"]) for level in (90.0, 30.0))
    assert "opacity: 0.63" in darker
    assert "opacity: 0.21" in lighter


def test_folder_holds_every_arm_and_report(tmp_path: Path) -> None:
    """Each stage's arms can be read back, the base's included, with the losses and the settings beside them."""
    folder = write_study(study(), tmp_path)
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {"study.json", "settings.json", "report.md", "report.html"} <= names
    for number, stage in enumerate(study().runs["sequential"].repeats[0]):
        place = folder / "sequential" / "seed-42" / f"stage-{number}"
        assert all(type(arm).read(place / task) == arm for task, arm in stage.arms.items())
    assert (place / "losses.txt").read_text(encoding="utf-8") == "2.0\n1.0\n"
    assert json.loads((folder / "study.json").read_text(encoding="utf-8")) == describe_study(study())


def test_tables_go_into_a_document(tmp_path: Path) -> None:
    """The comparison stands between the marks, each table under its title, with a line for each strategy."""
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nbehind\n", encoding="utf-8")
    write_tables(tabulate_study(describe_study(everything())), page)
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("behind\n")
    assert "old\n" not in text
    assert text.count("| sequential |") == 2
    assert "Pairs by average score" in text
