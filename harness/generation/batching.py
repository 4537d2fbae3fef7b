"""Which rows go into one batch, and what to do where one is too large."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def sorted_batches(lengths: Sequence[int], batch_size: int, budget: int | None = None) -> list[list[int]]:
    """Group rows of like length, the longest first, so that little is padded and memory runs out at once or never.

    Args:
        lengths: the length of each row.
        batch_size: rows in a batch, at most.
        budget: tokens in a batch at most, padding counted; a row that is longer comes alone.

    Returns:
        The rows' indices, each exactly once.
    """
    order = deque(sorted(range(len(lengths)), key=lambda index: -lengths[index]))
    batches = []
    while order:
        longest = max(1, lengths[order[0]])
        count = batch_size if budget is None else min(batch_size, max(1, budget // longest))
        batches.append([order.popleft() for _ in range(min(count, len(order)))])
    return batches


def work_through(
    batches: Sequence[Sequence[int]],
    work: Callable[[Sequence[int]], T],
    *,
    too_large: Callable[[Exception], bool],
) -> Iterator[tuple[Sequence[int], T]]:
    """Work on one batch after another; one that is too large is halved, and so are those behind it.

    Args:
        batches: rows' indices.
        work: is given a batch.
        too_large: whether an error means that a batch of fewer rows may go well. Of one row it is raised.

    Yields:
        Each batch that was worked on, and what came of it.
    """
    waiting = deque(batches)
    while waiting:
        batch = waiting.popleft()
        try:
            done = work(batch)
        except Exception as error:
            if len(batch) == 1 or not too_large(error):
                raise
            half = (len(batch) + 1) // 2
            waiting = deque(part for whole in (batch, *waiting) for part in split(whole, half))
        else:
            yield batch, done


def split(batch: Sequence[int], size: int) -> list[Sequence[int]]:
    """Parts of at most ``size`` rows, in their order."""
    return [batch[start : start + size] for start in range(0, len(batch), size)]
