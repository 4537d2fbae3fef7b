"""The path of a sweep: what is done stays, what failed is tried again, and nothing runs twice."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import rmtree

import pytest

from harness.atomic import locked
from harness.errors import ModelError, TrainingError, UsageError
from harness.sweeps.run import SweepRun, run_sweep
from harness.sweeps.work import CellOrder, LookOrder, Seen
from tests.sweeps.by_hand import ENVIRONMENT, Here, failing, glance, score_by_seed, small_sweep


def sweep(folder: Path, runner: Here, said: list[str] | None = None, **more: object) -> SweepRun:
    """The small sweep by a runner of this process."""
    work = more.pop("work", score_by_seed)
    lines: list[str] = [] if said is None else said
    return run_sweep(small_sweep(**more), runner, runs=folder, work=work, say=lines.append)  # type: ignore[arg-type]


def test_same_call_runs_nothing_that_is_done(tmp_path: Path) -> None:
    """Four cells run once; the second call runs none, and its report is the same."""
    runner = Here()
    first = sweep(tmp_path, runner)
    assert first.complete
    assert first.facts["cells"] == {"all": 4, "done": 4, "failed": 0, "unfit": 0, "retried": 0}
    assert len(runner.ran) == len(set(runner.ran)) == 4
    again = Here()
    assert sweep(tmp_path, again).facts == first.facts
    assert again.ran == []


def test_more_seeds_run_the_new_cells_alone(tmp_path: Path) -> None:
    """A sweep that grows keeps what it has; one whose rows are others does not."""
    sweep(tmp_path, Here())
    runner = Here()
    sweep(tmp_path, runner, seeds=[1, 2, 3])
    assert runner.ran == ["summarization, tiny-t5, full, seed 3", "summarization, tiny-t5, lora, seed 3"]
    other = Here(
        glance=lambda order: Seen(sources={"full": {"base": "another"}}, unfit={}, circumstances={"full": ENVIRONMENT})
    )
    sweep(tmp_path, other, methods=["full"])
    assert len(other.ran) == 2


def test_failure_is_tried_again_and_its_error_is_kept(tmp_path: Path) -> None:
    """One failure a cell and one retry: all are done, and the error of the first try can be read."""
    runner, said = Here(), list[str]()
    done = sweep(tmp_path, runner, said, work=failing(1, ZeroDivisionError("by nothing")))
    assert done.complete
    assert done.facts["cells"]["retried"] == 2
    assert len(runner.ran) == 6
    kept = [json.loads(path.read_text(encoding="utf-8")) for path in (tmp_path / "sweep" / "errors").iterdir()]
    assert sorted(entry["cell"] for entry in kept) == [f"summarization, tiny-t5, lora, seed {seed}" for seed in (1, 2)]
    assert all("in work" in entry["tries"][0]["trace"] for entry in kept)
    assert sum("is tried again later: ZeroDivisionError" in line for line in said) == 2


def test_cell_that_goes_on_failing_fails_alone(tmp_path: Path) -> None:
    """It stands in every report with its error; the others are done; the next call tries it again."""
    error = TrainingError("The loss is <b>.", fix="Lower the rate.")
    done = sweep(tmp_path, Here(), work=failing(9, error), retries=2)
    assert not done.complete
    assert [(entry["seed"], entry["tries"], entry["kind"]) for entry in done.facts["failed"]] == [
        (1, 3, "TrainingError"),
        (2, 3, "TrainingError"),
    ]
    for name in ("report.md", "report.html"):
        text = (done.folder / name).read_text(encoding="utf-8")
        assert "&lt;b>" in text or "&lt;b&gt;" in text
    runner = Here()
    assert sweep(tmp_path, runner, retries=2).complete
    assert runner.ran == [f"summarization, tiny-t5, lora, seed {seed}" for seed in (1, 2)]


def test_users_fault_is_not_tried_again(tmp_path: Path) -> None:
    """What was used wrongly would fail again."""
    runner = Here()
    done = sweep(tmp_path, runner, work=failing(9, ModelError("No.", fix="Other.")), retries=3)
    assert [entry["tries"] for entry in done.facts["failed"]] == [1, 1]
    assert len(runner.ran) == 4


def test_interrupted_sweep_goes_on(tmp_path: Path) -> None:
    """Ctrl-C in the third cell: two are done and stay, nothing half is left, the same call runs the other two."""
    begun: list[str] = []

    def interrupted(order: CellOrder) -> bytes:
        begun.append(order.key)
        if len(begun) == 3:
            raise KeyboardInterrupt
        return score_by_seed(order)

    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path, Here(), said, work=interrupted)
    assert said[-1] == "2 of 4 cells are done; the same command goes on from there."
    assert sorted(path.name for path in (tmp_path / "sweep" / "cells").iterdir()) == sorted(begun[:2])
    runner = Here()
    assert sweep(tmp_path, runner).complete
    assert len(runner.ran) == 2


def test_half_written_cell_is_no_cell(tmp_path: Path) -> None:
    """What a killed process had begun to write is cleared away, and the cell runs."""
    first = sweep(tmp_path, Here())
    (cell,) = list((first.folder / "cells").iterdir())[:1]
    cell.rename(cell.with_name(f".{cell.name}.new"))
    runner = Here()
    assert sweep(tmp_path, runner).complete
    assert len(runner.ran) == 1
    assert not list((first.folder / "cells").glob(".*"))


def test_damaged_cell_is_said_and_takes_no_part(tmp_path: Path) -> None:
    """A score that was changed on disk is seen, and how to mend it is said; the rest of the report stands."""
    first = sweep(tmp_path, Here())
    rows = first.folder / first.facts["tasks"][0]["lines"][0]["folders"][0] / "tuned" / "rows.jsonl"
    rows.write_text(rows.read_text(encoding="utf-8").replace("t 0", "t 1"), encoding="utf-8")
    done = sweep(tmp_path, Here())
    assert not done.complete
    (entry,) = done.facts["failed"]
    cell = rows.parents[1]
    assert "rows.jsonl" in entry["message"]
    assert f"Delete {cell}; the cell then runs again." in entry["message"]
    assert done.facts["cells"]["done"] == 3
    rmtree(cell)
    runner = Here()
    assert sweep(tmp_path, runner).complete
    assert len(runner.ran) == 1


def test_two_sweeps_in_one_folder_do_not_clash(tmp_path: Path) -> None:
    """The second ends at once and says why; nothing ran."""
    runner = Here()
    with locked(tmp_path / "sweep"), pytest.raises(UsageError, match="Another process is at work"):
        sweep(tmp_path, runner)
    assert runner.ran == []


def test_what_does_not_fit_is_no_failure(tmp_path: Path) -> None:
    """It has a line with its reason, and the sweep is complete without it."""
    done = sweep(tmp_path, Here(), models=["tiny-t5", "tiny-bert"])
    assert done.complete
    assert done.facts["unfit"] == [
        {"task": "summarization", "model": "tiny-bert", "method": "lora", "reason": "It has no layer for that."}
    ]
    assert done.facts["cells"]["unfit"] == 2
    with pytest.raises(UsageError, match=r"None of the cells .* no layer"):
        sweep(tmp_path, Here(), models=["tiny-bert"], methods=["lora"])


def test_model_that_is_not_there_fails_its_own_cells(tmp_path: Path) -> None:
    """The others are run all the same."""

    def look_twice(order: LookOrder) -> Seen:
        if order.group.model == "no/model":
            raise ModelError("There is none.", fix="Other.")
        return glance(order)

    done = sweep(tmp_path, Here(glance=look_twice), models=["tiny-t5", "no/model"])
    assert not done.complete
    assert [(entry["model"], entry["cells"], entry["kind"]) for entry in done.facts["failed"]] == [
        ("no/model", 4, "ModelError")
    ]
    assert done.facts["cells"]["done"] == 4
