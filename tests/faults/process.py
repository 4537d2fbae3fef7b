"""`harness run` in a process of its own that a test may do anything to."""

from __future__ import annotations

import gc
import json
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import harness.cli.run
import harness.experiment
import harness.progress
import harness.report.folder
import harness.report.html
import harness.training
from harness.cli import main
from tests.small import SMALL

PATIENCE = 300
"""Seconds until a process that does not end fails the test."""
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload([__name__])
# A collection would look through all that was loaded, and with that have each child copy it.
gc.collect()
gc.freeze()
PAIRED: dict[str, object] = {**SMALL, "training.epochs": 4}
Prepare = Callable[[], None]


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Args:
        code: its exit code; that of a signal is negative.
        said: what it wrote to standard error.
        printed: what it wrote to standard output.
    """

    code: int
    said: str
    printed: str


class Process:
    """The command in a folder; it is running already.

    Args:
        folder: the process works there, and its output is kept there.
        changes: settings.
        options: more of the command line.
        prepare: is called in the process before the command.
    """

    def __init__(
        self,
        folder: Path,
        changes: Mapping[str, object] | None = None,
        *options: str,
        prepare: Prepare | None = None,
    ) -> None:
        settings = [f"{name}={json.dumps(value)}" for name, value in {**PAIRED, **(changes or {})}.items()]
        arguments = ["run", *(part for each in settings for part in ("--set", each)), "--keep-every", "0", *options]
        self._out, self._err = folder / "out.txt", folder / "err.txt"
        self.child = CONTEXT.Process(target=_work, args=(folder, arguments, self._out, self._err, prepare))
        self.child.start()

    @property
    def said(self) -> str:
        """What it wrote to standard error so far."""
        return self._err.read_text(encoding="utf-8") if self._err.exists() else ""

    def send(self, number: int) -> None:
        """Send a signal; a process that has ended gets none."""
        if self.child.is_alive():
            os.kill(self.child.pid or 0, number)

    def wait(self) -> Ended:
        """Wait for its end."""
        self.child.join(PATIENCE)
        assert self.child.exitcode is not None, self.said
        return Ended(self.child.exitcode, self.said, self._out.read_text(encoding="utf-8"))


def run(folder: Path, changes: Mapping[str, object] | None = None, *options: str, **more: Any) -> Ended:
    """Run the command to its end."""
    return Process(folder, changes, *options, **more).wait()


def _work(folder: Path, arguments: list[str], out: Path, err: Path, prepare: Prepare | None) -> None:
    os.chdir(folder)
    os.environ.pop("CI", None)
    for path, stream in ((out, sys.stdout), (err, sys.stderr)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, stream.fileno())
    if prepare is not None:
        prepare()
    sys.argv = ["harness", *arguments]
    code = int(main() or 0)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def die_in(piece: str) -> None:
    """Have this process kill -9 itself when a piece is half-written: its files are there, its hashes are not."""
    seal = harness.progress.seal

    def write(place: Path) -> None:
        if piece in str(place):
            os.kill(os.getpid(), signal.SIGKILL)
        seal(place)

    harness.progress.seal = write


def die_behind(piece: str) -> None:
    """Have this process kill -9 itself when a piece is whole."""
    _act_behind(piece, lambda: os.kill(os.getpid(), signal.SIGKILL))


def walk() -> None:
    """Have this process rest a second behind each step of a training, so that a test on a busy machine keeps up."""
    _act_behind("/step-", lambda: time.sleep(1))


def _act_behind(piece: str, act: Callable[[], None]) -> None:
    keep = harness.progress.Progress.keep

    def write(progress: harness.progress.Progress, name: str, *more: Any) -> None:
        keep(progress, name, *more)
        if piece in str(progress.folder and progress.folder / name):
            act()

    harness.progress.Progress.keep = write  # type: ignore[method-assign]


def die_in_reports() -> None:
    """Have this process kill -9 itself when the run's folder has the arms, and no report yet."""
    harness.report.folder.write_reports = lambda *_: os.kill(os.getpid(), signal.SIGKILL)


def kill(folder: Path, prepare: Prepare, changes: Mapping[str, object] | None = None) -> None:
    """Run the command until what was prepared kills it."""
    ended = run(folder, changes, prepare=prepare)
    assert ended.code == -signal.SIGKILL, ended.said


def find_runs(folder: Path) -> list[Path]:
    """The folders of finished runs, in the order of their names; one that is being written has a name with a dot."""
    return sorted(path.parent for path in folder.glob("runs/*/[!.]*/verdict.json"))


def read_evidence(run_folder: Path) -> dict[str, object]:
    """All that two equal runs have in common, bit for bit: weights, outputs, scores, losses, verdict."""
    verdict = json.loads((run_folder / "verdict.json").read_text(encoding="utf-8"))
    del verdict["seconds"], verdict["training"]["peak_bytes"]
    arms = sorted(run_folder.glob("*/*"))
    files = {path.relative_to(run_folder).as_posix(): path.read_bytes() for path in arms}
    assert {"base/rows.jsonl", "tuned/rows.jsonl", "tuned/manifest.json"} <= files.keys()
    return {"verdict": verdict, "losses": (run_folder / "losses.jsonl").read_bytes(), **files}


def list_leftovers(folder: Path) -> list[str]:
    """What is in a folder that no finished run has any use for."""
    wanted = {"out.txt", "err.txt", "runs/.gitignore", "runs/.lock"}
    done = find_runs(folder)
    return [
        name
        for path in folder.rglob("*")
        if path.is_file()
        and (name := path.relative_to(folder).as_posix()) not in wanted
        and not any(run_folder in path.parents for run_folder in done)
    ]
