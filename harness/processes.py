"""Several processes that do one run together, as torchrun starts them: which one this is, and what they hand round.

One process alone passes through all of this as through nothing. What is handed round goes through accelerate, over
NCCL between GPUs and over gloo between CPUs.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

from harness.errors import ProcessError, SettingsError

T = TypeVar("T")
PATIENCE = timedelta(hours=1)
"""How long a process waits for the others. torchrun ends all of them as soon as one is gone; this bounds the rest."""
LAST_WORDS = timedelta(seconds=10)
"""How long a process that has nothing to say waits for the one that says it, and the first for the others to end."""


def count() -> int:
    """How many processes do this run; read from what torchrun tells each of them, so torch is not loaded for it."""
    return int(os.environ["WORLD_SIZE"]) if "TORCHELASTIC_RUN_ID" in os.environ else 1


def number() -> int:
    """Which of them this is; the first is 0."""
    return int(os.environ["RANK"]) if count() > 1 else 0


def is_first() -> bool:
    """Whether this is the process that writes, speaks and judges."""
    return number() == 0


def join() -> None:
    """Meet the others, once; all that is handed round waits for this."""
    if count() > 1:
        import torch  # noqa: PLC0415 - one process alone need not wait for it
        from accelerate import PartialState  # noqa: PLC0415

        PartialState(cpu=not torch.cuda.is_available(), timeout=PATIENCE)


def part() -> None:
    """Wait until all have come to the end, so that none ends while the first still writes, and take leave.

    The first goes last: the verdict is its exit code, and torchrun kills what still runs when one ends with another
    than 0, and says so, as if that had failed too. On other machines each torchrun has its own processes to wait for.
    """
    if count() > 1 and "torch" in sys.modules and sys.modules["torch"].distributed.is_initialized():
        from accelerate import PartialState  # noqa: PLC0415

        at_the_end = gather([(socket.gethostname(), os.getpid())])
        PartialState().destroy_process_group()
        if is_first():
            _await_end([pid for host, pid in at_the_end[1:] if host == socket.gethostname()])


def _await_end(pids: Sequence[int]) -> None:
    """Wait until these processes have ended, but not for ever."""
    import psutil  # noqa: PLC0415 - one process alone need not wait for it

    others = []
    for pid in pids:
        with suppress(psutil.NoSuchProcess):
            others.append(psutil.Process(pid))
    psutil.wait_procs(others, timeout=LAST_WORDS.total_seconds())


def share(items: Sequence[T]) -> Sequence[T]:
    """The items that are this process's: every ``count()``-th, so that all get as many, or one fewer."""
    return items[number() :: count()]


def gather(items: Sequence[T]) -> list[T]:
    """The items of all processes on every one of them, those of the first process first."""
    if count() == 1:
        return list(items)
    from accelerate.utils import gather_object  # noqa: PLC0415

    gathered: list[T] = gather_object(list(items))
    return gathered


def by_first(work: Callable[[], T]) -> T:
    """Have the first process do some work; every process gets what came of it."""
    made = [work() if is_first() else None]
    if count() > 1:
        from accelerate.utils import broadcast_object_list  # noqa: PLC0415

        broadcast_object_list(made, from_process=0)
    return made[0]  # type: ignore[return-value]  # the first process's work is in its place


def require_equal(value: str, what: str) -> None:
    """Make sure that all processes have the same.

    Args:
        value: what this process has, as a hash.
        what: it is, for the message.

    Raises:
        ProcessError: they have not.
    """
    values = gather([value])
    if len(set(values)) > 1:
        raise ProcessError(
            f"The {what} are not the same in all of {len(values)} processes: {', '.join(one[:8] for one in values)}.",
            why="Each process scores some of the rows, and the scores would be those of several models.",
            fix="Run it in one process; a method of your own has to share its gradients, as harness.fine_tune does.",
        )


def require_one(what: str, *, why: str = "") -> None:
    """Make sure that this process is alone.

    Raises:
        SettingsError: it is one of several.
    """
    if count() > 1:
        raise SettingsError(f"{what} cannot be run on {count()} processes.", why=why, fix="Start it without torchrun.")


def hush() -> None:
    """Let the first process speak for all: what the others print goes nowhere. To be called before torch is loaded."""
    if count() > 1:
        # Each process would warn that there may be fewer unused weights than it looks for.
        os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    if not is_first():
        sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - until the process ends


def end_together(error: BaseException, report: Callable[[BaseException], int]) -> int:
    """Say what ended this process, unless another has said it; an error of one process ends all with one message.

    Args:
        error: ended this process.
        report: says it on standard error, and returns the exit code.

    Returns:
        The exit code of the process that spoke.
    """
    if count() == 1:
        return report(error)
    from torch.distributed import TCPStore  # type: ignore[attr-defined]  # noqa: PLC0415 - torch does not list it

    place = f"harness/end/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
    try:
        # torchrun's own store, which outlives the processes.
        store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False, timeout=LAST_WORDS)
        if store.add(f"{place}/spoken", 1) > 1:
            return int(store.get(f"{place}/code"))
    except RuntimeError:  # torchrun is gone, or the one that speaks
        if not is_first():
            return 1
        store = None
    sys.stderr = sys.__stderr__
    code = report(_lost_another(error))
    if store is not None:
        store.set(f"{place}/code", str(int(code)))
    return code


def _lost_another(error: BaseException) -> BaseException:
    """What torch says when another process is gone, in our words; any other error as it is."""
    import torch  # noqa: PLC0415

    said = str(error)
    if not isinstance(error, torch.distributed.DistError) and not (isinstance(error, RuntimeError) and "gloo" in said):
        return error
    return ProcessError(
        f"Process {number()} of {count()} has lost another: {said.strip().splitlines()[0]}",
        why="It was killed, or its memory ran out; nothing was written.",
        fix="torchrun says below which process ended, and how; start the same command again.",
    )
