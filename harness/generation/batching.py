"""Which rows go into one batch."""

from __future__ import annotations

from collections.abc import Sequence


def sorted_batches(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Group rows of like length, the longest first, so that little is padded and memory runs out at once or never.

    Args:
        lengths: the length of each row.
        batch_size: rows in a batch.

    Returns:
        The rows' indices, each exactly once.
    """
    order = sorted(range(len(lengths)), key=lambda index: -lengths[index])
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
