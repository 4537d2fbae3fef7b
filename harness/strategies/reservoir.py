"""A memory of bounded size: a fair sample of what streamed past, and an equal quota for each task."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

T = TypeVar("T")


def sample_stream(stream: Iterable[T], capacity: int, rng: random.Random) -> list[T]:
    """Keep a sample of a stream of unknown length in which each item is as likely as any other.

    Args:
        stream: the items.
        capacity: how many are kept at most; all, where there are fewer.
        rng: draws.

    Source: Vitter 1985, "Random Sampling with a Reservoir", algorithm R.
    """
    kept: list[T] = []
    for seen, item in enumerate(stream):
        if seen < capacity:
            kept.append(item)
        elif (place := rng.randrange(seen + 1)) < capacity:
            kept[place] = item
    return kept


def remember(
    memory: Mapping[str, Sequence[int]], task: str, rows: int, *, capacity: int, rng: random.Random
) -> dict[str, list[int]]:
    """The memory after one more task: earlier tasks make room, so that each has the same quota.

    Args:
        memory: for each earlier task the numbers of its training rows that are kept; it is not changed.
        task: what was just learned.
        rows: how many training rows that task has.
        capacity: how many rows the memory holds over all tasks; what cannot be shared evenly stays empty.
        rng: draws.
    """
    quota = capacity // (len(memory) + 1)
    # The places of a reservoir are not exchangeable (its first items stay where they are), so room is made by a draw.
    kept = {name: sorted(rng.sample(list(rows), min(quota, len(rows)))) for name, rows in memory.items()}
    return {**kept, task: sorted(sample_stream(range(rows), quota, rng))}
