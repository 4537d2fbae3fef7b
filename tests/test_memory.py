"""The peak of memory: what a block takes at its highest, not what it keeps."""

from __future__ import annotations

import time

import numpy as np

from harness.memory import watch_memory

MEGABYTE = 10**6


def take(megabytes: int) -> None:
    """Fill an array for a moment."""
    taken = np.ones(megabytes * MEGABYTE, dtype=np.uint8)
    time.sleep(0.1)
    del taken


def test_peak_is_seen_after_it_is_over() -> None:
    """100 MB that are freed before the block ends are counted, and a block that takes nothing has next to none."""
    with watch_memory() as high:
        take(100)
    with watch_memory() as low:
        time.sleep(0.05)
    assert 90 * MEGABYTE < high.bytes < 130 * MEGABYTE
    assert low.bytes < 20 * MEGABYTE


def test_what_was_freed_before_counts_again() -> None:
    """What earlier work freed between pieces that it keeps is given back first, so a block is not let off cheaper."""
    pieces = [bytes(1000) for _ in range(100_000)]
    kept = pieces[::100]
    del pieces
    with watch_memory() as peak:
        more = [bytes(1000) for _ in range(100_000)]
        time.sleep(0.05)
        del more
    assert len(kept) == 1000
    assert peak.bytes > 70 * MEGABYTE
