"""How the rows of several tasks are mixed: what share each has, and which rows come in which batch."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Literal

Mixing = Literal["proportional", "temperature", "equal"]
Place = tuple[str, int]
"""A training example: its task, and its number among the task's."""


def share_tasks(sizes: Mapping[str, int], mixing: Mixing, *, temperature: float) -> dict[str, float]:
    """The share of each task in what is trained on.

    Args:
        sizes: how many examples each task has; at least one.
        mixing: by size, by size to the power 1 / temperature, or even.
        temperature: 1 or more; 1 is proportional, and with a high one shares are nearly even.

    Returns:
        Shares above 0 that sum to 1.

    Source: Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer",
    section 3.5.2.
    """
    power = {"proportional": 1.0, "temperature": 1 / temperature, "equal": 0.0}[mixing]
    largest = max(sizes.values())
    weights = {task: (size / largest) ** power for task, size in sizes.items()}
    return {task: weight / sum(weights.values()) for task, weight in weights.items()}


def count_examples(shares: Mapping[str, float], total: int) -> dict[str, int]:
    """Whole numbers that follow the shares: none is 1 or more off its share of the total, and no task has none.

    Args:
        shares: of each task; above 0, and they sum to 1.
        total: how many examples there are to be, over all tasks.

    Returns:
        They sum to the total; to more, where a task whose share is less than one example was given one.

    Source: the method of largest remainders (Hamilton 1792).
    """
    exact = {task: share * total for task, share in shares.items()}
    counts = {task: int(number) for task, number in exact.items()}
    by_remainder = sorted(exact, key=lambda task: counts[task] - exact[task])
    for task in by_remainder[: total - sum(counts.values())]:
        counts[task] += 1
    return {task: max(1, count) for task, count in counts.items()}


def plan_batches(
    sizes: Mapping[str, int], counts: Mapping[str, int], *, batch_size: int, one_task: bool, rng: random.Random
) -> list[list[Place]]:
    """Which examples come in which batch.

    A task's examples are passed through as often as it takes, each time in another order, and none is seen again before
    all were seen. Where two tasks follow each other is left to chance, so the mixture is the same early and late.

    Args:
        sizes: how many examples each task has.
        counts: how many are to be trained on; more than there are means that some are seen again.
        batch_size: examples in a batch.
        one_task: whether a batch holds examples of one task only.
        rng: draws the orders.
    """
    streams = {task: _pass_through(task, sizes[task], count, rng) for task, count in counts.items()}
    chunk = batch_size if one_task else 1
    turns = [task for task, count in counts.items() for _ in range(-(-count // chunk))]
    rng.shuffle(turns)
    chunks = [_take(streams[task], chunk) for task in turns]
    if one_task:
        return chunks
    places = [place for chunk in chunks for place in chunk]
    return [places[start : start + batch_size] for start in range(0, len(places), batch_size)]


def _pass_through(task: str, size: int, count: int, rng: random.Random) -> Iterator[Place]:
    """``count`` examples of a task, pass after pass."""
    for start in range(0, count, size):
        order = rng.sample(range(size), size)
        yield from ((task, number) for number in order[: count - start])


def _take(stream: Iterator[Place], count: int) -> list[Place]:
    """The next examples, at most so many."""
    return [place for _, place in zip(range(count), stream, strict=False)]
