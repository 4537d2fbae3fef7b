"""``harness sweep`` as a program: what it prints, its exit codes, and Ctrl-C."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from harness.cli import main
from tests.small import SMALL

FEW = [part for name, value in SMALL.items() if name != "gate.require" for part in ("--set", f"{name}={value}")]


def call(arguments: list[str]) -> int:
    """The command line with these arguments, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["harness", "sweep", *arguments])
        return int(main() or 0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "There is no sweep.toml here, and no tasks are named. Write one, or name them: --tasks "),
        (["--seeds", "1"], "There is no sweep.toml here"),
        (["--tasks", "ner", "--seeds", "one"], '"one" is no seed'),
        (["--tasks", "ner", "--engine", "slurm"], 'no runner of sweeps "slurm"'),
        (["--tasks", "ner", "--address", "auto"], "Add --engine ray"),
        (["no.toml"], "There is no file no.toml. Check the path, or name tasks: --tasks "),
        (["--tasks", "summarisation"], 'There is no task "summarisation". Did you mean "summarization"?'),
        (["--tasks", "no.toml"], "There is no file no.toml."),
        (["--tasks", "ner", "--methods", "loar"], 'Did you mean "lora"?'),
    ],
)
def test_fault_of_the_user_is_one_message(
    arguments: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, a sentence that says what to do, and nothing written."""
    monkeypatch.chdir(tmp_path)
    assert call(arguments) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_command_runs_resumes_and_lists(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A dry run writes nothing; the run does all cells that fit; the same command again runs none."""
    command = ["--tasks", "summarization,ner", "--models", "tiny-t5,tiny-bert", "--methods", "full", "--seeds", "1"]
    command += [*FEW, "--workers", "2", "--runs", str(tmp_path / "runs")]
    assert call([*command, "--dry-run"]) == 0
    listed = capsys.readouterr().out
    assert listed.count("to do  ") == 2
    assert listed.count("unfit  ") == 2
    assert "2 to do, 0 done, 2 do not fit, 0 cannot be used." in listed
    assert not (tmp_path / "runs").exists()
    assert call([*command, "--json"]) == 0
    told = capsys.readouterr()
    facts = json.loads(told.out)
    assert facts["cells"] == {"all": 4, "done": 2, "failed": 0, "unfit": 2, "retried": 0}
    assert told.err.count("/2] ") == 2
    assert call(command) == 0
    told = capsys.readouterr()
    assert "2 of 2 cells are done already" in told.err
    assert "/2] " not in told.err
    assert "2 of 4 cells done, 2 do not fit" in told.out


@pytest.mark.slow
def test_interrupt_ends_all_processes_and_keeps_what_is_done(tmp_path: Path) -> None:
    """Ctrl-C after the first cell: exit code 130, no traceback, no process left; the same command does the others."""
    command = [sys.executable, "-m", "harness", "sweep", "--tasks", "summarization", "--seeds", "1,2,3", *FEW]
    command += ["--workers", "2", "--runs", str(tmp_path / "runs")]
    program = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, env={**os.environ}
    )
    assert program.stderr
    lines = []
    for line in program.stderr:
        lines.append(line)
        if line.startswith("[1/3]"):
            break
    children = psutil.Process(program.pid).children(recursive=True)
    assert len(children) >= 2
    # As a terminal does: to all processes of the group.
    os.killpg(program.pid, signal.SIGINT)
    out, rest = program.communicate(timeout=120)
    assert program.returncode == 130, "".join(lines) + rest
    assert rest.endswith(" of 3 cells are done; the same command goes on from there.\n\nInterrupted.\n"), rest
    assert "Traceback" not in out + rest
    # The one that takes shared memory away (of multiprocessing) ends when it sees that the program has.
    _, left = psutil.wait_procs(children, timeout=30)
    assert not [child for child in left if child.status() != psutil.STATUS_ZOMBIE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    kept = int(rest.splitlines()[-3].split()[0])
    assert kept >= 1
    assert f"{kept} of 3 cells are done already" in done.stderr
    assert done.stderr.count("/3] ") == 3 - kept
