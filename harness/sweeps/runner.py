"""What every runner of sweeps offers, and what comes back from a worker."""

from __future__ import annotations

import os
import platform
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from harness.errors import HarnessError, UsageError
from harness.sweeps.settings import Sweep

Work = Callable[[Any], Any]
"""A function of a module, from an item to a result; both travel between processes."""


@dataclass(frozen=True, kw_only=True)
class Failure:
    """An error of a worker.

    Args:
        kind: the name of its class.
        message: what it says.
        usage: whether something was used wrongly, so that another try ends as this one did.
        trace: the traceback, where the error is a bug and not one of the harness's own.
    """

    kind: str
    message: str
    usage: bool = False
    trace: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}: {self.message}"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """One try at an item.

    Args:
        value: what the work returned.
        failure: why it did not.
        seconds: how long it took.
        worker: host and process.
    """

    value: Any = None
    failure: Failure | None = None
    seconds: float = 0.0
    worker: str = ""


class Runner(Protocol):
    """Runs work on items, several at a time, in processes that may die."""

    describes_device: bool
    """Whether all workers compute on the same device, so that it can be part of what decides a cell."""

    def run(self, work: Work, items: Mapping[str, Any]) -> Iterator[tuple[str, Ended]]:
        """Run the work on each item once; yields key and end in the order in which they end.

        A worker that dies is the failure of the item that it was at, and of no other.
        """


@dataclass(frozen=True, kw_only=True)
class Workplace:
    """Where a runner works.

    Args:
        workers: how many processes of this machine; by default as many as its processors allow.
        address: of a cluster.
    """

    workers: int | None = None
    address: str | None = None


OpenRunner = Callable[[Sweep, Workplace], AbstractContextManager[Runner]]
"""Starts a runner; behind the block none of its processes is left."""


def attempt(work: Work, item: Any) -> Ended:
    """One try; an error becomes a failure, for it has to travel."""
    began = time.perf_counter()
    value, failure = None, None
    try:
        value = work(item)
    except HarnessError as error:
        failure = Failure(kind=type(error).__name__, message=str(error), usage=isinstance(error, UsageError))
    except Exception as error:  # noqa: BLE001 - kept with its traceback; the other cells go on
        failure = Failure(kind=type(error).__name__, message=str(error), trace=traceback.format_exc())
    worker = f"{platform.node()}:{os.getpid()}"
    return Ended(value=value, failure=failure, seconds=round(time.perf_counter() - began, 3), worker=worker)


def lost(what: str) -> Ended:
    """A try whose worker died without a word."""
    return Ended(
        failure=Failure(
            kind="WorkerLost",
            message=f"{what} The system ends processes that take more memory than there is: give each cell more room, "
            "by fewer workers or smaller batches.",
        )
    )
