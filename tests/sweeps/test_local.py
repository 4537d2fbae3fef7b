"""The runner of one machine: real processes that do little."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from typing import cast

import psutil
import pytest

from harness.errors import ModelError
from harness.sweeps.local import Local, open_local
from harness.sweeps.runner import Ended, Runner, Workplace
from tests.sweeps.by_hand import small_sweep


def answer(item: int) -> tuple[int, int]:
    """The square, and who found it; some items have accidents."""
    if item == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    if item == 14:
        raise ModelError("It is too small.", fix="Take a larger one.")
    if item == 15:
        raise ZeroDivisionError("by nothing")
    return item * item, os.getpid()


def sleep(seconds: float) -> None:
    """Take long."""
    time.sleep(seconds)


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    """Two workers."""
    with open_local(small_sweep(), Workplace(workers=2)) as opened:
        yield opened


def run(runner: Runner, items: list[int]) -> dict[int, Ended]:
    """What became of each item."""
    found = list(runner.run(answer, {str(item): item for item in items}))
    assert len(found) == len(items)
    return {int(key): ended for key, ended in found}


def test_each_item_is_done_once_by_one_of_the_workers(runner: Runner) -> None:
    """Nine items, nine answers, two processes, none of them this one."""
    found = run(runner, list(range(9)))
    assert {item: ended.value[0] for item, ended in found.items()} == {item: item**2 for item in range(9)}
    workers = {ended.value[1] for ended in found.values()}
    assert 1 <= len(workers) <= 2
    assert os.getpid() not in workers
    assert all(ended.worker.endswith(f":{ended.value[1]}") for ended in found.values())


def test_worker_that_is_killed_takes_its_own_item_along_and_no_other(runner: Runner) -> None:
    """The item is lost, and says how; all others are done, by a new process where the old one was."""
    found = run(runner, [1, 13, 2, 3, 4])
    failure = found[13].failure
    assert failure
    assert failure.kind == "WorkerLost"
    assert "by signal 9" in failure.message
    assert not failure.usage
    assert [found[item].value[0] for item in (1, 2, 3, 4)] == [1, 4, 9, 16]


def test_errors_travel_and_only_bugs_bring_their_traceback(runner: Runner) -> None:
    """A user's fault is known as one; a bug says where it happened; the worker goes on."""
    found = run(runner, [14, 15, 5])
    usage, bug = found[14].failure, found[15].failure
    assert usage
    assert bug
    assert (usage.kind, usage.usage, usage.trace) == ("ModelError", True, None)
    assert usage.message == "It is too small. Take a larger one."
    assert (bug.kind, bug.usage) == ("ZeroDivisionError", False)
    assert bug.trace
    assert "in answer" in bug.trace
    assert found[5].value[0] == 25


def test_nothing_is_left_behind_the_block() -> None:
    """Workers that are in the middle of something end with the one who started them, at once."""
    with open_local(small_sweep(), Workplace(workers=2)) as runner:
        ends = runner.run(sleep, {"a": 0.0, "b": 60.0, "c": 60.0})
        assert next(ends)[0] == "a"
        busy = [worker.process.pid for _, worker in cast("Local", runner)._busy.values()]
        began = time.monotonic()
    assert len(busy) == 2
    assert not any(psutil.pid_exists(pid) for pid in busy if pid)
    assert time.monotonic() - began < 30
