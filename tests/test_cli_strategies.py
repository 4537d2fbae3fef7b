"""``harness run --strategy``: several tasks from the command line."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from harness.cli import main
from harness.cli.strategies import choose_multitask
from harness.progress import Progress
from harness.report.several import BEGIN, END
from harness.strategies.lines import choose_line, list_lines

SMALL = {
    "data.train_rows": 8,
    "data.eval_rows": 6,
    "training.epochs": 1,
    "gate.flips": 1000,
    "continual.replay": 2,
    "continual.fisher_rows": 2,
}
ALONE = ("--tasks", "classification,sentiment", "--model", "tiny-bert")


def run(folder: Path, *arguments: str, changes: Sequence[str] = ()) -> int:
    """``harness run`` with few rows; places lie in a folder."""
    given = [part for name, value in SMALL.items() for part in ("--set", f"{name}={value}")]
    given += [part for change in changes for part in ("--set", change)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["harness", "run", *given, *arguments, "--runs", str(folder / "runs")])
        return int(main())


@pytest.mark.slow
def test_all_strategies_stand_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every line is taught, compared and written; the document has the tables; nothing unfinished is left behind."""
    page = tmp_path / "page.md"
    page.write_text(f"{BEGIN}\n{END}\n", encoding="utf-8")
    assert run(tmp_path, "--strategy", "all", *ALONE, "--table", str(page)) == 0
    said = capsys.readouterr()
    names = [line.name for line in list_lines()]
    (folder,) = (tmp_path / "runs" / "multitask-bert").iterdir()
    facts = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    assert [line["name"] for line in facts["lines"]] == names
    assert facts["skipped"] == {}
    assert all(len(line["matrix"]) == (2 if line["name"] == "joint" else 3) for line in facts["lines"])
    base = [line["matrix"][0] for line in facts["lines"]]
    assert all(line == base[0] for line in base)
    assert said.err.count("base:") == 1
    assert all(f"| {name} |" in page.read_text(encoding="utf-8") for name in names)
    assert "Pairs by forgetting" in said.out
    assert not (tmp_path / "runs" / "multitask-bert" / "unfinished").exists()


def test_interrupted_it_goes_on_or_begins_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C behind a checkpoint, with --fresh once more, and the same command to its end, which leaves nothing."""
    arguments = ("--strategy", "sequential", *ALONE, "--keep-every", "0")
    keep = Progress.keep

    def interrupt(progress: Progress, name: str, write: Callable[[Path], None]) -> None:
        keep(progress, name, write)
        if "stage-2/training-1/step-1" in f"{progress.folder}/{name}":
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Progress, "keep", interrupt)
        for options in ((), ("--fresh",)):
            assert run(tmp_path, *arguments, *options, changes=["training.batch_size=4"]) == 130
            *said, kept, stopped = filter(None, capsys.readouterr().err.splitlines())
            assert (kept, stopped) == ("what was done is kept: the same command goes on from there", "Interrupted.")
            assert not any("already" in line for line in said)
    assert run(tmp_path, *arguments, changes=["training.batch_size=4"]) in {0, 1, 3}
    assert "sequential, seed 42, stage 2, training goes on from step 1 of 2" in capsys.readouterr().err
    assert not (tmp_path / "runs" / "multitask-bert" / "unfinished").exists()


def test_one_strategy_is_judged_and_json_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code is that of the sentences, and a second run starts anew."""
    arguments = ("--strategy", "sequential", *ALONE, "--json", "--seed", "7")
    assert run(tmp_path, *arguments, changes=['gate.require=["forgetting at most -100 points"]']) == 1
    facts = json.loads(capsys.readouterr().out)
    assert (facts["exit_code"], facts["seeds"], facts["contest"]) == (1, [7], None)
    assert (Path(facts["folder"]) / "report.html").is_file()
    assert run(tmp_path, *arguments, changes=['gate.require=["forgetting at most 100 points"]']) == 0
    second = capsys.readouterr()
    assert "done already" not in second.err
    assert json.loads(second.out)["lines"][0]["matrix"] == facts["lines"][0]["matrix"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--strategy", "sequentail", *ALONE), 'Did you mean "sequential"'),
        (("--strategy", "joint", "--tasks", "classification"), "name at least two"),
        (("--strategy", "joint", "--tasks", "classification,sentimant"), 'Did you mean "sentiment"'),
        (("--strategy", "joint", "--task", "ner"), "--task belongs to a run of one task"),
        (("--strategy", "joint", "--data", "x.csv"), "--data belongs to a run of one task"),
        (("--strategy", "joint", "--save", "x"), "--save belongs to a run of one task"),
        (("--strategy", "joint", *ALONE, "--set", "joint.mixing=even"), "'proportional', 'temperature' or 'equal'"),
        (("--strategy", "joint", *ALONE, "--set", 'gate.require=["be good"]'), "Did you mean a sentence like"),
        (("--strategy", "continual", *ALONE, "--set", "continual.replay=0", "--set", "continual.ewc=0"), "are both 0"),
        (("--strategy", "joint", "nowhere.toml"), "There is no file nowhere.toml"),
        (("--tasks", "classification,ner"), "Add --strategy"),
        (("--strategy", "all", *ALONE, "--table", "nowhere.md"), "nowhere.md cannot be read"),
    ],
)
def test_mistakes_are_told_before_anything_trains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], told: str
) -> None:
    """Exit code 2, one line that helps, no folder and no traceback."""
    assert run(tmp_path, *arguments) == 2
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
    assert not (tmp_path / "runs").exists()


def test_model_chooses_the_preset() -> None:
    """A model that a preset was made for takes its settings; another model those of the default."""
    assert choose_multitask(None, None, "tiny-bert").name == "multitask-bert"
    assert choose_multitask(None, None, None).name == "multitask-t5"
    assert choose_multitask(None, None, "some/model").name == "multitask-t5"
    assert choose_multitask("multitask-bert", "ner, sentiment", None).tasks[0].name == "ner"


def test_each_line_can_be_asked_for_by_its_name() -> None:
    """A line of the report is a name for ``--strategy``, and no two have the same."""
    names = [line.name for line in list_lines()]
    assert len(set(names)) == len(names)
    assert all(choose_line(line.name) == line for line in list_lines())
    assert choose_line("continual").changes == {}
