"""kill -9, SIGTERM and Ctrl-C: the same command goes on, and ends with the same bits."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.faults.conftest import Note
from tests.faults.process import (
    PAIRED,
    Process,
    die_behind,
    die_in,
    die_in_reports,
    find_runs,
    kill,
    list_leftovers,
    read_evidence,
    run,
    walk,
)

pytestmark = pytest.mark.faults
TORN: list[int] = []
IN = ("/base-", "/.engine", "/.step-3", "/.trained", "/tuned-")
BEHIND = ("/base-", "/step-7", "/trained", "/tuned-")
KILLS = int(os.environ.get("HARNESS_KILLS", "5"))
"""How often a run is killed at a random moment."""


def test_killed_at_random_moments_it_ends_with_the_same_bits(tmp_path: Path, undisturbed: Path, note: Note) -> None:
    """Start, kill -9, the same command again, over and over: each run that ends is the undisturbed one, bit for bit."""
    moments = random.Random(9)
    kills, went_on, ended, code = 0, 0, 0, 0
    length = 0.0
    while kills < KILLS or code == -signal.SIGKILL:
        began = time.monotonic()
        process = Process(tmp_path)
        # The first one shows how long a run takes.
        if ended and kills < KILLS:
            process.child.join(moments.uniform(0, length))
            process.send(signal.SIGKILL)
        code = process.wait().code
        went_on += bool(re.search("goes on from|go on from|already", process.said))
        if code == -signal.SIGKILL:
            kills += 1
            assert [read_evidence(each) for each in find_runs(tmp_path)] == [read_evidence(undisturbed)] * ended
            continue
        ended += 1
        length = length or time.monotonic() - began
        assert list_leftovers(tmp_path) == []
        assert read_evidence(find_runs(tmp_path)[-1]) == read_evidence(undisturbed)
    assert went_on
    note(
        "kill -9", "SIGKILL at a random moment, then the same command", kills,
        f"went on {went_on} times; {ended} runs ended, each bit-equal in weights, outputs, scores, losses and verdict",
    )  # fmt: skip


@pytest.mark.parametrize(
    "prepare",
    [
        *(
            pytest.param(partial(die, piece), id=f"{die.__name__} {piece.strip('/.-')}")
            for die, pieces in ((die_in, IN), (die_behind, BEHIND))
            for piece in pieces
        ),
        die_in_reports,
    ],
)
def test_killed_while_it_writes_leaves_no_torn_piece(
    tmp_path: Path, undisturbed: Path, note: Note, prepare: Callable[[], None]
) -> None:
    """Killed in the middle of each kind of piece, right behind it, and in the middle of the run: the same bits."""
    kill(tmp_path, prepare)
    assert run(tmp_path).code in {0, 1, 3}
    assert [read_evidence(each) for each in find_runs(tmp_path)] == [read_evidence(undisturbed)]
    assert list_leftovers(tmp_path) == []
    note(
        "kill -9 while writing", "SIGKILL in the middle of a piece or right behind it, of each kind", len(TORN) + 1,
        "what was being written is not there or whole; the same command ends bit-equal",
    )  # fmt: skip
    TORN.append(1)


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "lora", "name": "summarization-full"},
        {"method": "adapters", "name": "summarization-full"},
        {"repeats": 2},
        {"training.patience": 2, "training.accumulation": 2, "training.batch_size": 3},
    ],
    ids=["lora", "adapters", "two seeds", "early stopping"],
)
def test_other_ways_go_on_as_well(tmp_path: Path, changes: dict[str, object], note: Note) -> None:
    """Killed in training behind the third step: the same command says from where it goes on, and ends bit-equal."""
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir(), killed.mkdir()
    assert run(whole, changes).code in {0, 1, 3}
    last = f"seed-{41 + int(str(changes.get('repeats', 1)))}"
    kill(killed, partial(die_behind, f"/{last}/training-1/step-3"), changes)
    ended = run(killed, changes)
    assert ended.code in {0, 1, 3}
    assert re.search(r"training goes on from step 3 of \d+ \(kept \d+ s ago\)", ended.said)
    assert "base: scored already" in ended.said
    assert read_evidence(find_runs(killed)[0]) == read_evidence(find_runs(whole)[0])
    assert list_leftovers(killed) == []
    note("kill -9 in training", "SIGKILL behind step 3: " + ", ".join(f"{k} {v}" for k, v in changes.items()
         if k != "name"), 1, "goes on from the last checkpoint; bit-equal")  # fmt: skip


@pytest.mark.parametrize(
    ("number", "code", "line"), [(signal.SIGINT, 130, "Interrupted."), (signal.SIGTERM, 143, "Terminated.")]
)
def test_asked_to_stop_it_says_one_line(
    tmp_path: Path, undisturbed: Path, note: Note, number: int, code: int, line: str
) -> None:
    """Ctrl-C or SIGTERM in training: one line, its exit code, no half-written file; the same command goes on."""
    process = Process(tmp_path, prepare=walk)
    while not any(tmp_path.glob("runs/*/unfinished/*/seed-42/training-1/step-*")):
        assert process.child.is_alive(), process.said
        time.sleep(0.001)
    process.send(number)
    ended = process.wait()
    assert ended.code == code, ended.said
    assert ended.said.splitlines()[-1] == line
    assert "Traceback" not in ended.said
    assert not find_runs(tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.name.endswith(".new") or ".harness-" in path.name]
    again = run(tmp_path)
    assert "already" in again.said
    assert read_evidence(find_runs(tmp_path)[0]) == read_evidence(undisturbed)
    note(signal.Signals(number).name, "sent in training", 1, f"one line, exit {code}, nothing half-written; goes on")


def test_program_itself_goes_on(tmp_path: Path, undisturbed: Path, note: Note) -> None:
    """``python -m harness run`` as a user starts it, killed behind its second step, and again."""
    sets = [part for name, value in PAIRED.items() for part in ("--set", f"{name}={value!r}".replace("'", '"'))]
    command = [sys.executable, "-m", "harness", "run", *sets, "--keep-every", "0"]
    environment = {name: value for name, value in os.environ.items() if name != "CI"}
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    while not any(tmp_path.glob("runs/*/unfinished/*/seed-42/training-1/step-2")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.001)
    process.kill()
    process.communicate()
    again = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert "training goes on from step" in again.stderr
    assert read_evidence(find_runs(tmp_path)[0]) == read_evidence(undisturbed)
    note("kill -9 of the program", "python -m harness run, SIGKILL behind step 2", 1, "goes on; bit-equal")


def test_fresh_begins_anew(tmp_path: Path, undisturbed: Path) -> None:
    """With --fresh nothing that was kept is used, and the run ends the same."""
    kill(tmp_path, partial(die_behind, "/step-3"))
    ended = run(tmp_path, None, "--fresh")
    assert "already" not in ended.said
    assert "goes on" not in ended.said
    assert read_evidence(find_runs(tmp_path)[0]) == read_evidence(undisturbed)
