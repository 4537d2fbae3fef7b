"""The command line, in this process and as the program itself."""

from __future__ import annotations

import contextlib
import json
import os
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.arm import Arm
from harness.cli import COMMANDS, main
from harness.data.source import newsroom_rows
from harness.tasks.summarization import SUMMARIZATION
from tests.arms import make_arm
from tests.small import LEARNS, PATIENCE, SMALL


def as_options(settings: dict[str, object]) -> list[str]:
    return [part for name, value in settings.items() for part in ("--set", f"{name}={json.dumps(value)}")]


SETS, SETS_THAT_LEARN = as_options(SMALL), as_options(LEARNS)
PROGRAM = [sys.executable, "-m", "harness"]


@pytest.fixture(autouse=True)
def in_own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test runs in an empty folder, and not in CI, where baselines may not be stored."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI", raising=False)


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["harness", *arguments])
    return int(main() or 0)


def test_help_names_every_command_and_exit_code() -> None:
    """``harness --help`` as a program: commands and codes."""
    done = subprocess.run([*PROGRAM, "--help"], capture_output=True, text=True, check=True)
    assert all(name in done.stdout for name in COMMANDS)
    assert all(f"  {code}  " in done.stdout for code in range(8))
    assert subprocess.run([*PROGRAM, "--version"], capture_output=True, text=True, check=True).stdout.startswith(
        "harness"
    )


def test_run_prints_json_and_writes_everything(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """JSON on standard output alone; arms, ledger, losses, settings and reports in the run's folder."""
    assert call(monkeypatch, "run", *SETS_THAT_LEARN, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["outcome"] == "improved"
    assert printed["passed"] is True
    for arm in ("base", "tuned"):
        assert set(printed["arms"][arm]["scores"]) == set(printed["arms"][arm]["signatures"])
    folder = tmp_path / printed["folder"]
    assert {path.name for path in folder.iterdir()} == {
        "base", "tuned", "experiment.json", "eval-rows.jsonl", "ledger.jsonl", "losses.jsonl", "report.html",
        "report.md", "verdict.json",
    }  # fmt: skip
    stored = json.loads((folder / "verdict.json").read_text(encoding="utf-8"))
    assert stored == {key: value for key, value in printed.items() if key != "folder"}
    assert len((folder / "losses.jsonl").read_text(encoding="utf-8").splitlines()) == printed["training"]["steps"] == 20


def test_second_run_gives_the_same_outputs_and_hashes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything but times, memory and folder is equal, down to the weights' hash; the accepted baseline agrees."""

    def go() -> dict[str, object]:
        call(monkeypatch, "run", *SETS, "--json")
        result: dict[str, Any] = json.loads(capsys.readouterr().out)
        del result["training"]["peak_bytes"]
        return {key: value for key, value in result.items() if key not in {"seconds", "folder"}}

    first = go()
    assert go() == first
    assert call(monkeypatch, "baseline", "accept", "summarization-full") == 0
    capsys.readouterr()
    third = go()
    assert third["arms"] == first["arms"]
    comparisons = third["comparisons"]
    assert isinstance(comparisons, list)
    assert [entry["outcome"] for entry in comparisons[1:]] == ["identical", "identical"]


@pytest.mark.slow
def test_table_fits_eighty_columns(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The verdict is readable on the narrowest terminal."""
    monkeypatch.setenv("COLUMNS", "80")
    assert call(monkeypatch, "run", *SETS_THAT_LEARN) == 0
    out = capsys.readouterr().out
    assert "summarization-full   IMPROVED   tuned vs base, 16 rows, paired" in out
    assert "rouge1" in out
    assert max(map(len, out.splitlines())) <= 80


def store_by_hand(run: str, tuned: list[float], *, experiment: str = "mine", weights: str = "w2") -> Path:
    """A run's folder, written without training."""
    folder = Path("runs") / experiment / run
    make_arm([1.0] * len(tuned), experiment=experiment).write(folder / "base")
    outputs = [f"{run} {row}" for row in range(len(tuned))]
    make_arm(tuned, experiment=experiment, role="tuned", weights=weights, outputs=outputs).write(folder / "tuned")
    return folder


def test_baseline_accept_of_a_real_run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing stored, nothing to accept, then one experiment with two arms."""
    assert call(monkeypatch, "baseline", "list") == 0
    assert "No arm is stored" in capsys.readouterr().out
    assert call(monkeypatch, "baseline", "accept", "summarization-full") == 2
    assert "There is no run" in capsys.readouterr().err
    call(monkeypatch, "run", *SETS)
    assert call(monkeypatch, "baseline", "accept", "summarization-full") == 0
    capsys.readouterr()
    call(monkeypatch, "baseline", "list")
    assert [line.split()[:2] for line in capsys.readouterr().out.splitlines()] == [
        ["summarization-full", "base"], ["summarization-full", "tuned"],
    ]  # fmt: skip


def test_baseline_is_replaced_after_review(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The first needs no reason; the next is shown beside it and refused without one, and so with --new-only."""
    store_by_hand("1", [50.0, 60.0])
    assert call(monkeypatch, "baseline", "accept", "mine") == 0
    store_by_hand("2", [40.0, 60.0])
    capsys.readouterr()
    assert call(monkeypatch, "baseline", "accept", "mine") == 2
    captured = capsys.readouterr()
    assert "rouge1 -10.00" in captured.out
    assert "stored: 1 0" in captured.out
    assert "no reason is given" in captured.err
    assert call(monkeypatch, "baseline", "accept", "mine", "--new-only", "--why", "x") == 2
    assert call(monkeypatch, "baseline", "diff", "mine") == 0
    assert "2 of 2 outputs changed" in capsys.readouterr().out
    assert call(monkeypatch, "baseline", "accept", "mine", "--why", "shorter training") == 0
    capsys.readouterr()
    assert call(monkeypatch, "baseline", "show", "mine") == 0
    shown = capsys.readouterr().out
    assert "why: shorter training" in shown
    assert "rouge1 50.00" in shown
    monkeypatch.setenv("CI", "true")
    assert call(monkeypatch, "baseline", "accept", "mine", "--why", "x") == 2
    assert "CI is set" in capsys.readouterr().err
    assert call(monkeypatch, "baseline", "accept", "mine", "--why", "x", "--force") == 0
    call(monkeypatch, "baseline", "show", "mine")
    assert ", forced" in capsys.readouterr().out


def test_baseline_verify_and_prune(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Whole, approved and known: 0; else 1, and what is wrong is named; prune removes orphans when told to."""
    Path("harness.toml").write_text('name = "mine"\n', encoding="utf-8")
    for experiment in ("mine", "gone"):
        store_by_hand("1", [50.0, 60.0], experiment=experiment)
        call(monkeypatch, "baseline", "accept", experiment)
    assert call(monkeypatch, "baseline", "verify") == 1
    assert "gone is an orphan" in capsys.readouterr().out
    call(monkeypatch, "baseline", "prune")
    assert Path("baselines/gone").is_dir()
    assert call(monkeypatch, "baseline", "prune", "--yes") == 0
    assert not Path("baselines/gone").exists()
    assert call(monkeypatch, "baseline", "verify") == 0
    approval = Path("baselines/mine/approval.json")
    written = approval.read_bytes()
    approval.unlink()
    capsys.readouterr()
    assert call(monkeypatch, "baseline", "verify") == 1
    assert f"✗ {approval} is missing" in capsys.readouterr().out
    approval.write_bytes(written)
    rows = Path("baselines/mine/tuned/rows.jsonl")
    rows.write_text(rows.read_text(encoding="utf-8")[:-20], encoding="utf-8")
    capsys.readouterr()
    assert call(monkeypatch, "baseline", "verify") == 1
    assert f"✗ {rows} does not match its own hash" in capsys.readouterr().out
    assert call(monkeypatch, "baseline", "show", "none") == 2


def test_verify_goes_on_behind_a_folder_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A link and a name that no experiment can have are problems of theirs; the others are looked at as well."""
    monkeypatch.chdir(tmp_path)
    Path("harness.toml").write_text('name = "mine"\n', encoding="utf-8")
    store_by_hand("1", [50.0, 60.0], experiment="mine")
    call(monkeypatch, "baseline", "accept", "mine")
    Path("baselines/a link").symlink_to(Path("baselines/mine").absolute())
    capsys.readouterr()
    assert call(monkeypatch, "baseline", "verify") == 1
    printed = capsys.readouterr().out
    assert "✗ " in printed
    assert "✓ mine: 2 arms" in printed


@pytest.mark.parametrize(
    ("candidate", "changes", "code", "said"),
    [
        ([60.0] * 30, {}, 0, "improved"),
        ([40.0] * 30, {}, 1, "regressed"),
        ([50.0 + 20 * (-1) ** row for row in range(30)], {}, 3, "inconclusive"),
        ([60.0] * 29, {}, 4, "different rows (29 of 29"),
        ([60.0] * 30, {"generation": {"engine": "transformers", "num_beams": 4}}, 4, "num_beams: 4 against 1"),
        ([50.0] * 30, {"outputs": ["same"] * 30}, 5, "identical"),
        ([50.0 + 0.1 * (-1) ** row for row in range(30)], {}, 7, "no change"),
    ],
)
def test_each_outcome_has_its_exit_code(
    candidate: list[float],
    changes: dict[str, object],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """``harness compare`` of two arms ends with the code of what it found, and says it."""
    make_arm([50.0] * 30, outputs=["same"] * 30).write(Path("against"))
    make_arm(candidate, **changes).write(Path("candidate"))  # type: ignore[arg-type]
    assert call(monkeypatch, "compare", "candidate", "against") == code
    assert said in capsys.readouterr().out


@pytest.mark.slow
def test_gain_over_several_seeds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """With repeats every seed is trained, stored and told, and the seeds make other models."""
    assert call(monkeypatch, "run", *SETS, "--set", "repeats=2", "--json") in {0, 3}
    printed = json.loads(capsys.readouterr().out)
    assert "over 2 seeds (" in printed["requirements"][0]["reason"]
    folder = Path(printed["folder"])
    weights = {Arm.read(folder / name).manifest.model.weights for name in ("base", "tuned", "tuned.43")}
    assert len(weights) == 3
    assert call(monkeypatch, "baseline", "accept", "summarization-full") == 0
    capsys.readouterr()
    call(monkeypatch, "run", *SETS, "--set", "repeats=2", "--json")
    printed = json.loads(capsys.readouterr().out)
    assert [entry["outcome"] for entry in printed["comparisons"][1:]] == ["identical", "identical"]


def test_speed_beside_the_reference(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A bar that plain generate reaches itself holds; one that nothing reaches fails, with the numbers."""
    sentences = [f"speed may not fall under {share} of the reference" for share in ("0.1", "90")]
    changes = ["--set", f"gate.require={json.dumps(sentences)}"]
    assert call(monkeypatch, "run", *SETS, *changes, "--json") == 1
    slow, fast = json.loads(capsys.readouterr().out)["requirements"]
    assert (slow["status"], fast["status"]) == ("holds", "fails")
    assert "of plain generate" in fast["reason"]


def spoil_baseline() -> None:
    for role in ("base", "tuned"):
        folder = Path("baselines") / "summarization-full" / role
        folder.mkdir(parents=True)
        (folder / "manifest.json").write_text("{}", encoding="utf-8")
        (folder / "rows.jsonl").write_text("", encoding="utf-8")


USAGE_FAULTS: dict[str, tuple[list[str], str]] = {
    "unknown command": (["rnu"], "No such command"),
    "unknown option": (["run", "--modle", "x"], "No such option"),
    "unknown preset": (["run", "sumarization-full"], 'Did you mean "summarization-full"'),
    "missing file": (["run", "none.toml"], "There is no file none.toml"),
    "typo in harness.toml": (["run", "bad.toml"], 'did you mean "learning_rate"'),
    "unknown task": (["run", "--task", "sumarization"], 'Did you mean "summarization"'),
    "unknown method": (["run", "--method", "ful"], 'Did you mean "full"'),
    "unknown engine": (["run", "--set", "generation.engine=x"], "Choose one of: transformers"),
    "no value": (["run", "--set", "training.epochs"], "has no value"),
    "wrong value": (["run", "--set", "training.epochs=many"], "training.epochs"),
    "sentence": (["run", "--set", 'gate.require=["be good"]'], "is not understood"),
    "missing data": (["run", "--data", "none.csv"], "There is no file none.csv"),
    "empty data": (["run", "--data", "empty.csv"], "is empty"),
    "no column": (["run", "--data", "columns.csv"], "input_columns"),
    "no rows left": (
        ["run", "--data", "blank.csv", "--set", "data.drop_empty=true"],
        "0 rows after deduplicate and drop_empty",
    ),
    "cut target": (["run", *SETS, "--set", "encoding.max_target_tokens=1"], "nothing to learn"),
    "missing model": (["run", "--model", "./none"], "There is no model folder none"),
    "hub model": (["run", "--model", "t5-small"], "HF_HUB_OFFLINE"),
    "hub data": (["run", "--data", "EdinburghNLP/xsum"], "HF_HUB_OFFLINE"),
    "damaged baseline": (["run", "--baselines", "baselines"], "does not match its own hash"),
    "long name": (["run", "--data", "x" * 300 + ".csv"], "File name too long"),
    "unknown home": (["run", "--data", "~nobody-of-this-name/x.csv"], "There is no file"),
    "endless number": (["run", "endless.toml"], "cannot be read"),
    "order of lengths": (["run", "--set", "generation.min_length=65"], "is more than max_length 64"),
    "too many beams": (["run", "--set", "generation.num_beams=100000"], "less than or equal to 256"),
    "nothing required": (["run", "--set", "gate.require=[]"], "gate.require"),
    "list": (["run", "--set", "data.input_columns=source"], "it should be a list"),
    "baselines is a file": (["run", "--baselines", "empty.csv"], "is no folder"),
    "cut input": (["run", *SETS, "--set", "encoding.max_input_tokens=1"], "nothing to read"),
    "runs is a file": (["run", "--runs", "empty.csv"], "not writable"),
}


@pytest.mark.parametrize(("arguments", "message"), USAGE_FAULTS.values(), ids=USAGE_FAULTS)
def test_usage_fault_is_one_clear_message(
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    """Exit code 2, the remedy, no traceback, and nothing written or changed."""
    Path("bad.toml").write_text('name = "x"\n[training]\nlearnin_rate = 1.0\n', encoding="utf-8")
    Path("endless.toml").write_text("x = " + "9" * 5000, encoding="utf-8")
    Path("empty.csv").write_text("", encoding="utf-8")
    Path("columns.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    Path("blank.csv").write_text("input,target\n ,x\n", encoding="utf-8")
    if "baseline" in message or "hash" in message:
        spoil_baseline()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert call(monkeypatch, *arguments) == 2
    captured = capsys.readouterr()
    assert message in " ".join(captured.err.split())
    assert "Traceback" not in captured.err
    assert captured.out == ""
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_learning_rate_zero_is_said_to_teach_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Equal weights end with a code of their own."""
    assert call(monkeypatch, "run", *SETS, "--set", "training.learning_rate=0.0") == 5
    assert "SameWeightsError: Base and tuned have the same weights" in capsys.readouterr().err


def test_equal_outputs_are_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Weights that moved too little to change a word: identical, exit code 5."""
    assert call(monkeypatch, "run", *SETS, "--set", "training.learning_rate=1e-9") == 5
    out = capsys.readouterr().out
    assert "IDENTICAL" in out
    assert "all 8 outputs are equal" in out


def test_exploding_loss_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A learning rate that blows the weights up ends with code 6 and the step."""
    options = ["--set", "training.learning_rate=1e6", "--set", "training.max_gradient_norm=1e30"]
    assert call(monkeypatch, "run", *SETS, *options) == 6
    assert "NonFiniteLossError: The loss is" in capsys.readouterr().err


def test_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not the user's fault is shown whole, with a code of its own."""
    monkeypatch.setattr("harness.cli.run.load_experiment", lambda *_, **__: 1 / 0)
    assert call(monkeypatch, "run") == 70
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_own_file_of_rows(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows from a file run the same way; --seed and --set reach the settings."""
    rows = newsroom_rows(SUMMARIZATION, 24, 5)
    lines = [json.dumps({"document": row.input, "summary": row.target}) + "\n" for row in rows]
    Path("rows.jsonl").write_text("".join(lines), encoding="utf-8")
    assert call(monkeypatch, "run", *SETS, "--data", "rows.jsonl", "--seed", "3", "--json") in {0, 3}
    folder = json.loads(capsys.readouterr().out)["folder"]
    settings = json.loads((Path(folder) / "experiment.json").read_text(encoding="utf-8"))
    assert (settings["data"]["source"], settings["training"]["seed"]) == ("rows.jsonl", 3)


def test_hub_name_offline_fails_within_two_seconds_as_a_program(silent_hub: str) -> None:
    """From the prompt to the message, imports and all, with a hub that never answers."""
    environment = {key: value for key, value in os.environ.items() if key != "HF_HUB_OFFLINE"}
    environment["HF_ENDPOINT"] = silent_hub
    began = time.perf_counter()
    done = subprocess.run(
        [*PROGRAM, "run", "seed-notebook"], capture_output=True, text=True, check=False, env=environment, timeout=20
    )
    assert time.perf_counter() - began < PATIENCE
    assert done.returncode == 2
    assert "the hub did not answer" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
def test_progress_goes_to_the_terminal_and_json_stays_clean() -> None:
    """With standard error on a terminal there are bars, and standard output is JSON and nothing else."""
    pty = pytest.importorskip("pty")
    fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
    terminal, end = pty.openpty()
    fcntl.ioctl(end, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {name: value for name, value in os.environ.items() if name != "TQDM_DISABLE"}
    command = [*PROGRAM, "run", *SETS, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=end, env=environment) as process:
        os.close(end)
        shown = b""
        with contextlib.suppress(OSError):  # the terminal of a program that ended
            while part := os.read(terminal, 4096):
                shown += part
        assert process.stdout is not None
        assert json.loads(process.stdout.read())["experiment"] == "summarization-full"
    os.close(terminal)
    assert b"4/4" in shown


def test_interrupt_ends_in_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Ctrl-C: one line, exit code 130."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.cli.run.load_experiment", interrupt)
    assert call(monkeypatch, "run") == 130
    assert capsys.readouterr().err.strip() == "Interrupted."
