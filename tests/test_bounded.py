"""Code of others that does not end, or wants all the memory, is stopped; what behaves is left alone."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from harness.bounded import TookTooLong, bounded


def count() -> None:
    while True:
        pass


def test_endless_loop_is_stopped() -> None:
    """After the time, not before, and the limit ends with the block."""
    began = time.monotonic()
    with pytest.raises(TookTooLong), bounded(seconds=0.2, more_bytes=1 << 30):
        count()
    assert 0.2 <= time.monotonic() - began < 30
    with bounded(seconds=0.01, more_bytes=1 << 30):
        pass
    time.sleep(0.05)  # a bell that rang late would be heard here


def test_endless_loop_in_a_thread_is_stopped() -> None:
    """Where no signal arrives as well."""
    seen: list[str] = []

    def work() -> None:
        try:
            with bounded(seconds=0.2, more_bytes=1 << 30):
                count()
        except TookTooLong:
            seen.append("stopped")

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(30)
    assert seen == ["stopped"]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems keep to no limit")
def test_memory_is_bounded() -> None:
    """A text that doubles fails at the limit, and what fits is given."""
    with pytest.raises(MemoryError), bounded(seconds=60, more_bytes=1 << 26):
        "a" * (1 << 30)
    with bounded(seconds=60, more_bytes=1 << 30):
        assert len("a" * (1 << 20)) == 1 << 20
    assert len("a" * (1 << 27)) == 1 << 27
