"""Giving up on Python code of others, as a template's, that does not end or fills the memory."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


class TookTooLong(Exception):  # noqa: N818 - the name of the event
    """The time is over."""


@contextmanager
def bounded(*, seconds: float, more_bytes: int) -> Iterator[None]:
    """Stop the block when it takes too long, in any thread, or on Linux when it takes too much memory.

    A call that hangs inside compiled code is stopped when it next comes back to Python.

    Args:
        seconds: how long the block may take.
        more_bytes: how much address space the whole process may gain meanwhile.

    Raises:
        TookTooLong: inside the block, when the time is over.
        MemoryError: inside the block, when the memory is used up.
    """
    thread, lock = threading.get_ident(), threading.Lock()
    running = True

    def ring() -> None:
        with lock:
            if running:
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(TookTooLong))

    timer = threading.Timer(seconds, ring)
    timer.daemon = True
    timer.start()
    try:
        with _bounded_memory(more_bytes):
            yield
    finally:
        with lock:
            running = False
        timer.cancel()


@contextmanager
def _bounded_memory(more_bytes: int) -> Iterator[None]:
    if sys.platform != "linux":
        yield
        return
    import resource  # noqa: PLC0415 - other systems have none, or do not keep to it

    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    allowed = psutil.Process().memory_info().vms + more_bytes
    if soft != resource.RLIM_INFINITY:
        allowed = min(allowed, soft)
    resource.setrlimit(resource.RLIMIT_AS, (allowed, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
