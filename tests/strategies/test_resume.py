"""A run that is killed goes on where it was, and ends as if nothing had happened; other settings are another run."""

from __future__ import annotations

import copy
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from harness.atomic import LOCK_FILE, locked
from harness.errors import UsageError
from harness.strategies.curriculum import prepare_curriculum
from harness.strategies.progress import make_key
from harness.strategies.run import MultitaskRun, run_strategy
from harness.tuning import Clock
from tests.strategies.resumable import fingerprint, settings, work

PATIENCE = 120
"""Seconds until a child that does not get anywhere fails the test."""


@cache
def uninterrupted() -> MultitaskRun:
    """The run that nobody kills."""
    return run_strategy(settings())


def kill_when(progress: Path, happened: Callable[[list[str]], bool]) -> list[str]:
    """Start the run in a process of its own and kill it, as ``kill -9`` does, when something has happened.

    Returns:
        What it had told.
    """
    # One server imports torch; each child is forked from it, which takes no time.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.strategies.resumable"])
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=work, args=(progress, theirs))
    child.start()
    told: list[str] = []
    until = time.monotonic() + PATIENCE
    while not happened(told):
        assert child.is_alive(), told
        assert time.monotonic() < until, told
        if ours.poll(0.001):
            told.append(ours.recv())
    os.kill(child.pid or 0, signal.SIGKILL)
    child.join()
    assert child.exitcode == -signal.SIGKILL
    return told


def stages_in(progress: Path) -> list[str]:
    """The whole stages on disk."""
    return sorted(place.name for place in progress.glob("*/seed-42/stage-*"))


def finish(progress: Path) -> tuple[MultitaskRun, list[str]]:
    """Give the same command again."""
    said: list[str] = []
    return run_strategy(settings(), progress=progress, say=said.append), said


@pytest.mark.slow
def test_killed_inside_the_first_stage_begins_anew(tmp_path: Path) -> None:
    """No stage is whole: all is done again, with the same numbers."""
    kill_when(tmp_path, lambda told: any(line.startswith("base:") for line in told))
    assert stages_in(tmp_path) == []
    done, said = finish(tmp_path)
    assert fingerprint(done) == fingerprint(uninterrupted())
    assert not any("done already" in line for line in said)


@pytest.mark.slow
def test_killed_while_it_writes_a_stage_leaves_no_half_of_it(tmp_path: Path) -> None:
    """A stage that was being written is not there, or whole; either way the numbers are the same."""
    kill_when(tmp_path, lambda told: any(tmp_path.glob("*/seed-42/.stage-1.new")))
    assert stages_in(tmp_path) in ([], ["stage-1"])
    assert fingerprint(finish(tmp_path)[0]) == fingerprint(uninterrupted())
    assert not any(tmp_path.glob("*/seed-42/.stage-*"))


def test_killed_between_stages_goes_on_from_the_last_whole_one(tmp_path: Path) -> None:
    """The first stage is not taught again: from its weights and memory the second comes out with the same bits."""
    told = kill_when(tmp_path, lambda told: any("after classification" in line for line in told))
    assert stages_in(tmp_path) == ["stage-1"]
    done, said = finish(tmp_path)
    assert fingerprint(done) == fingerprint(uninterrupted())
    assert any("1 of 2 stages are done already" in line for line in said)
    assert [line for line in said if "after classification" in line] == []
    assert "after classification" in told[-1]
    # All that is needed to go on is kept once, with the last stage.
    (key,) = tmp_path.iterdir()
    assert not (key / "seed-42" / "stage-1" / "pupil").exists()
    assert (key / "seed-42" / "stage-2" / "pupil").is_dir()
    check_lock_and_damage(key)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, True),
        ({"sentiment.training.learning_rate": 2e-3}, False),
        ({"sentiment.data.seed": 1}, False),
        ({"sentiment.head.seed": 1}, False),
        ({"continual.ewc": 7.0}, False),
        ({"strategy": "sequential"}, False),
        ({"gate.level": 0.1, "repeats": 3, "seed": 7, "name": "other"}, True),
    ],
)
def test_key_is_that_of_the_stages(changes: dict[str, object], same: bool) -> None:  # noqa: FBT001 - a parameter
    """Other rates, rows, heads or strengths are another run; the gate and the number of seeds change no stage."""
    keys = [
        make_key(prepare_curriculum(settings(**given), clock=Clock(), say=lambda _: None)) for given in ({}, changes)
    ]
    assert (keys[0] == keys[1]) == same


def test_key_knows_the_rows_and_the_base_themselves() -> None:
    """A file whose rows changed, or a checkpoint whose weights did, under the same name: another run."""
    tasks = prepare_curriculum(settings(), clock=Clock(), say=lambda _: None)
    first, *rest = tasks.subjects
    rows = (*first.splits.train[:-1], replace(first.splits.train[-1], target="elsewhere"))
    model = copy.deepcopy(first.ready.loaded.model)
    next(model.parameters()).data[0, 0] += 1
    ready = replace(first.ready, loaded=first.ready.loaded.with_weights_of(model))
    for changed in (replace(first, splits=replace(first.splits, train=rows)), replace(first, ready=ready)):
        assert make_key(replace(tasks, subjects=(changed, *rest))) != make_key(tasks)
    assert make_key(replace(tasks, subjects=(first, *rest))) == make_key(tasks)


def check_lock_and_damage(key: Path) -> None:
    """Two processes never work on the same stages, and a stage that was spoiled is named, with what to do."""
    with locked(key), pytest.raises(UsageError, match="Another process is at work"):
        run_strategy(settings(), progress=key.parent)
    assert (key / LOCK_FILE).exists()
    (key / "seed-42" / "stage-2" / "pupil" / "body.safetensors").write_bytes(b"?")
    with pytest.raises(UsageError, match="stage-2 is no whole stage"):
        run_strategy(settings(), progress=key.parent)
