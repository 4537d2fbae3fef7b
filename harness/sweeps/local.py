"""The runner of one machine: a few processes, each at one item at a time."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, cast

from harness.sweeps.runner import Ended, Runner, Work, Workplace, attempt, lost
from harness.sweeps.settings import Sweep

PATIENCE = 5.0
"""Seconds in which a process may end by itself."""


@dataclass(eq=False)
class Worker:
    """A process and the pipe to it."""

    process: BaseProcess
    pipe: Connection

    @classmethod
    def start(cls) -> Worker:
        """Start a process; it shares nothing with this one."""
        # A forked process may not use a GPU, nor threads that hold locks.
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        return cls(process=process, pipe=ours)

    def ask_to_stop(self, *, at_work: bool) -> None:
        """Have the process end itself, so that it takes its own things away; one that is idle sees the pipe end."""
        self.pipe.close()
        if at_work:
            self.process.terminate()

    def stop(self) -> None:
        """Wait for the end of a process that was asked; one that hangs is ended from outside."""
        self.process.join(PATIENCE)
        self.process.kill()
        self.process.join()

    def receive(self) -> Ended:
        """What became of the item; a pipe that ends says that the process did."""
        try:
            return cast("Ended", self.pipe.recv())
        except (EOFError, OSError):
            self.process.join()
            code = self.process.exitcode
            how = f"by signal {-code}" if code is not None and code < 0 else f"with exit code {code}"
            return lost(f"The process of this cell ended {how} and without a word.")


class Local:
    """Workers of this machine.

    Args:
        count: how many at a time.
    """

    describes_device = True

    def __init__(self, count: int) -> None:
        self._count = count
        self._idle: list[Worker] = []
        self._busy: dict[Connection, tuple[str, Worker]] = {}

    def run(self, work: Work, items: Mapping[str, Any]) -> Iterator[tuple[str, Ended]]:
        """See `Runner`."""
        waiting = iter(items.items())
        for key, item in waiting:
            self._begin(key, work, item)
            if len(self._busy) >= self._count:
                break
        while self._busy:
            for pipe in cast("list[Connection]", wait(list(self._busy))):
                key, worker = self._busy.pop(pipe)
                ended = worker.receive()
                if ended.worker:
                    self._idle.append(worker)
                else:
                    pipe.close()
                if (following := next(waiting, None)) is not None:
                    self._begin(following[0], work, following[1])
                yield key, ended

    def stop(self) -> None:
        """End all processes."""
        busy = [worker for _, worker in self._busy.values()]
        for worker in busy:
            worker.ask_to_stop(at_work=True)
        for worker in self._idle:
            worker.ask_to_stop(at_work=False)
        for worker in (*busy, *self._idle):
            worker.stop()

    def _begin(self, key: str, work: Work, item: Any) -> None:
        worker = self._idle.pop() if self._idle else Worker.start()
        self._busy[worker.pipe] = (key, worker)
        # One that died while it was idle is found out when its answer is waited for.
        with suppress(OSError):
            worker.pipe.send((work, item))


@contextmanager
def open_local(sweep: Sweep, place: Workplace) -> Iterator[Runner]:
    """Workers of this machine, by default as many as its processors have room for."""
    runner = Local(place.workers or max(1, (os.cpu_count() or 1) // sweep.threads))
    try:
        yield runner
    finally:
        runner.stop()


def serve(pipe: Connection) -> None:
    """What a worker does: one item after another, until nobody is there any more."""
    # Ctrl-C reaches all processes of a terminal; the one that the user started ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, leave)
    # What matters of them stands in the run; the terminal has one line a cell.
    warnings.simplefilter("ignore")
    with suppress(EOFError, OSError):
        while True:
            work, item = pipe.recv()
            pipe.send(attempt(work, item))


def leave(*_: object) -> None:
    """End this process at once, but not its leaving: asked twice it still leaves once."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(1)
