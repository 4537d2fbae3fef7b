"""``torchrun -m harness run``: one voice, one folder, one end."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path

import psutil
import pytest

from harness.arm import Arm
from tests.distributed.launch import HERE, command, environment, launch

pytestmark = pytest.mark.distributed
SMALL = [
    *("--set", "data.train_rows=17", "--set", "data.eval_rows=5", "--set", "gate.flips=1000"),
    *("--set", "training.epochs=1", "--baselines", "none"),
]
BOUND = 120
"""Seconds in which all must have ended when one process is gone, on a machine that has other work."""


def test_two_processes_end_as_one(tmp_path: Path) -> None:
    """One folder, one verdict on standard output, each line once, and the exit code where torchrun shows it."""
    done = launch(2, "-m", "harness", "run", *SMALL, "--runs", tmp_path, "--json")
    verdict = json.loads(done.stdout)
    folders = [path for path in (tmp_path / "summarization-full").iterdir() if path.is_dir()]
    assert [Path(verdict["folder"])] == folders
    assert Arm.read(folders[0] / "tuned").manifest.environment["processes"] == "2"
    for line in ("17 training and 5 evaluation rows", "base: rouge1", "Written to"):
        assert done.stderr.count(line) == 1
    assert "Warning" not in done.stderr
    # No baseline is stored, which the embedded experiment asks for.
    assert done.returncode == 1
    assert done.stderr.count("exitcode  : 4") == 1
    assert "SIGTERM" not in done.stderr


def test_first_lets_all_others_go(tmp_path: Path) -> None:
    """Where another takes long to end, torchrun shows the verdict's exit code, and not one that it has killed."""
    done = launch(2, HERE / "late.py", "run", *SMALL, "--runs", tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("exitcode  : 4") == 1
    assert "SIGTERM" not in done.stderr


def test_error_of_all_is_said_once(tmp_path: Path) -> None:
    """A wrong setting gives one message, exit code 2, and no folder."""
    done = launch(2, "-m", "harness", "run", *SMALL, "--set", "training.batch_size=3", "--runs", tmp_path)
    assert done.stderr.count("SettingsError: training.batch_size is 3, and 2 processes share each batch.") == 1
    assert "base: rouge1" not in done.stderr
    assert done.stderr.count("exitcode  : 2") >= 1
    assert not list(tmp_path.glob("*/2*"))


def test_error_of_one_ends_all(tmp_path: Path) -> None:
    """What one process alone meets is said, by that process, and the one that waits for it ends without a word."""
    began = time.monotonic()
    done = launch(2, HERE / "fail.py", "run", *SMALL, "--runs", tmp_path)
    assert time.monotonic() - began < BOUND
    assert done.stderr.count("DataError: The rows are gone.") == 1
    assert "ProcessError" not in done.stderr
    assert done.stderr.count("exitcode  : 2") >= 1
    assert not list(tmp_path.glob("*/2*"))


@pytest.mark.parametrize("killed", [0, 1])
def test_killed_process_ends_all(tmp_path: Path, killed: int) -> None:
    """Where one is killed in the training, all end in bounded time, something is said, and nothing is written."""
    said = tmp_path / "said"
    words = ["-m", "harness", "run", *SMALL, "--set", "training.epochs=500", "--runs", str(tmp_path / "runs")]
    with said.open("w") as file, subprocess.Popen(command(2, *words), env=environment(), stderr=file) as torchrun:
        while "base: rouge1" not in said.read_text():
            assert torchrun.poll() is None, said.read_text()
            time.sleep(0.2)
        began = time.monotonic()
        child(torchrun.pid, rank=killed).kill()
        assert torchrun.wait(timeout=BOUND) == 1
        assert time.monotonic() - began < BOUND
    assert "Signal 9 (SIGKILL)" in said.read_text()
    assert "This is a bug" not in said.read_text()
    assert not list((tmp_path / "runs").glob("*/2*"))


def child(launcher: int, *, rank: int) -> psutil.Process:
    """The process that torchrun started with this rank."""
    started = psutil.Process(launcher).children()
    return next(process for process in started if process.environ().get("RANK") == str(rank))
