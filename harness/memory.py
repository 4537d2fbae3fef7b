"""How much memory a block of code takes at its peak, above what was taken before it."""

from __future__ import annotations

import ctypes
import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import torch

INTERVAL = 0.005
"""Seconds between two looks at the memory of this process."""


@dataclass(kw_only=True)
class Peak:
    """The highest memory so far, in bytes above the start."""

    bytes: int = 0


@contextmanager
def watch_memory() -> Iterator[Peak]:
    """Measure the peak of the block: on the GPU where there is one, else of this process.

    On a GPU it is what torch allocated. Elsewhere it is the resident memory, looked at again and again; what earlier
    work left behind unused is given back to the system first, or the block could take it unseen.
    """
    peak = Peak()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        start = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        yield peak
        peak.bytes = max(0, torch.cuda.max_memory_allocated() - start)
        return
    process, done = psutil.Process(), threading.Event()
    _give_back_unused()
    start = process.memory_info().rss

    def look() -> None:
        peak.bytes = max(peak.bytes, process.memory_info().rss - start)

    def keep_looking() -> None:
        while not done.wait(INTERVAL):
            look()

    watcher = threading.Thread(target=keep_looking, daemon=True)
    watcher.start()
    try:
        yield peak
    finally:
        look()
        done.set()
        watcher.join()


def _give_back_unused() -> None:
    """Collect what nothing refers to, and hand free pages back where the C library can."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # not glibc
        return
