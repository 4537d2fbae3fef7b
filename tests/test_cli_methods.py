"""``harness run --method all``: the methods that apply, side by side."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli import main
from harness.cli.run import Places
from harness.cli.several import list_methods, run_methods
from harness.config import TrainingSettings, load_experiment
from harness.errors import ModelError, SettingsError, UsageError
from harness.lesson import Trained
from harness.methods import FITTING, METHODS, Course
from harness.report.several import BEGIN, END
from harness.training import fine_tune
from tests.small import SMALL


def tune_briefly(model: object, course: Course, settings: TrainingSettings) -> Trained:
    """One epoch instead of two."""
    return fine_tune(course.loaded.model, course, settings.model_copy(update={"epochs": 1}))


def refuse(course: Course) -> None:
    """The need of a method for another kind of model."""
    raise ModelError("This model has no ears.", fix="Name one that has.")


def break_down(model: object, course: Course, settings: TrainingSettings) -> Trained:
    """A method whose training finds the disk full."""
    raise UsageError("The disk is full.", fix="Make room.")


def stumble(model: object, course: Course, settings: TrainingSettings) -> Trained:
    """A method whose training stumbles over the model, behind the base's scores."""
    raise ModelError("The model has worn out.", fix="Take another.")


@pytest.fixture
def three_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Full fine-tuning, a brief one, and one that does not apply."""
    here = "tests.test_cli_methods:"
    places = {"full": "harness.methods.full:tune", "brief": f"{here}tune_briefly", "deaf": f"{here}break_down"}
    monkeypatch.setattr(METHODS, "_places", places)
    monkeypatch.setattr(FITTING, "_places", {"deaf": f"{here}refuse"})


def run_all(folder: Path, *more: str) -> int:
    """``harness run --method all`` on the small experiment."""
    values = {name: value for name, value in SMALL.items() if name != "gate.require"}
    changes = [part for name, value in values.items() for part in ("--set", f"{name}={value}")]
    places = ["--runs", str(folder / "runs"), "--baselines", str(folder / "none")]
    return int(main_with(["run", "summarization-full", "--method", "all", *changes, *places, *more]))


def main_with(arguments: list[str]) -> int:
    """The command line with these arguments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["harness", *arguments])
        return int(main())


@pytest.mark.usefixtures("three_methods")
def test_methods_stand_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each that applies has a line, a run of its own and a pair with each other; the reason for the last is said."""
    page = tmp_path / "page.md"
    page.write_text(f"# Methods\n{BEGIN}\n{END}\n", encoding="utf-8")
    assert run_all(tmp_path, "--table", str(page)) == 0
    text = page.read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert [line.split(" | ")[0] for line in lines] == [
        "| method", "| ---", "| full", "| brief", "| pair", "| ---", "| full - brief", "| method", "| ---", "| deaf",
    ]  # fmt: skip
    assert "Pairs, over the rows of one seed (repeats asks more): p is adjusted for all 1 (sign flips, max-T)" in text
    assert "This model has no ears. Name one that has." in lines[-1]
    assert {folder.name for folder in (tmp_path / "runs").iterdir() if folder.is_dir()} == {
        "summarization-full",
        "summarization-brief",
    }
    said = capsys.readouterr().err
    assert "deaf is left out" in said
    assert said.count("base: rouge1") == 2
    assert said.count("(scored for summarization-full)") == 1


@pytest.mark.usefixtures("three_methods")
def test_json_has_every_run_and_every_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What a program reads is what stands in the tables, and what each run's folder holds."""
    assert run_all(tmp_path, "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [run["experiment"] for run in found["runs"]] == ["summarization-full", "summarization-brief"]
    assert all((Path(run["folder"]) / "verdict.json").is_file() for run in found["runs"])
    lines, pairs, left_out = found["tables"]
    assert [line[0] for line in lines["rows"]] == ["full", "brief"]
    assert pairs["rows"][0][0] == "full - brief"
    assert left_out["rows"][0][0] == "deaf"


@pytest.mark.parametrize(("method", "told"), [("break_down", "The disk is full."), ("stumble", "has worn out.")])
def test_fault_of_a_run_is_no_method_that_does_not_fit(
    method: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What has nothing to do with what fits, or comes up behind the base's scores, ends all with its own message."""
    here = "tests.test_cli_methods:"
    monkeypatch.setattr(METHODS, "_places", {"full": f"{here}tune_briefly", method: f"{here}{method}"})
    assert run_all(tmp_path) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "is left out" not in error


def test_several_processes_do_not_share_all_methods(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Refused before anything runs: a method that one process left out would be waited for by the others."""
    monkeypatch.setattr("harness.processes.count", lambda: 2)
    with pytest.raises(SettingsError, match="--method all cannot be run on 2 processes"):
        run_methods([], places=Places(runs=tmp_path, baselines=tmp_path), document=None)


def test_one_method_alone_is_no_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nothing is left to compare with, the exit code says so; what no method can do is an error as ever."""
    monkeypatch.setattr(METHODS, "_places", {"full": "harness.methods.full:tune"})
    assert run_all(tmp_path, "--set", "training.epochs=1") == 4
    assert run_all(tmp_path, "--set", "data.train_rows=0") == 2
    assert "data.train_rows" in capsys.readouterr().err


def test_all_of_all_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """Every method of every task has no one table."""
    assert main_with(["run", "--task", "all", "--method", "all"]) == 2
    assert "Name the task, or the method." in capsys.readouterr().err


def test_each_method_has_a_name_of_its_own() -> None:
    """No method is judged against the stored baseline of another; the rest of the experiment is the same."""
    experiment = load_experiment("summarization-full")
    listed = list_methods(experiment)
    assert [each.name.removeprefix("summarization-") for each in listed] == [
        "full", "prompt", "few-shot", "lora", "adapters", "rlhf",
    ]  # fmt: skip
    for each in listed:
        plain = {"name": experiment.name, "method": experiment.method, "prompt.shots": 0}
        assert each.override(plain) == experiment


def test_prompting_is_there_without_and_with_demonstrations() -> None:
    """Both stand in the table, and demonstrations that the user asked for are not asked for again."""
    plain = load_experiment("summarization-full")
    assert [each.way for each in list_methods(plain)][1:3] == ["zero-shot", "few-shot"]
    own = [each for each in list_methods(plain.override({"prompt.shots": 5})) if each.method == "prompt"]
    assert [(each.way, each.prompt.shots) for each in own] == [("few-shot", 5)]
    soft = list_methods(plain.override({"prompt.variant": "prefix-tuning"}))
    assert [each.way for each in soft][1:3] == ["prefix-tuning", "few-shot"]
    assert soft[2].prompt.variant == "text"
