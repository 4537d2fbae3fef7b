"""The memory: a fair sample, and an equal quota for each task."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checks.mixing import chi_square
from harness.strategies.reservoir import remember, sample_stream


@given(st.integers(0, 40), st.integers(1, 20), st.integers())
def test_reservoir_is_bounded_and_holds_what_streamed_past(length: int, capacity: int, seed: int) -> None:
    """It holds as many items as fit, each of them once, and the same for the same seed."""
    kept = sample_stream(range(length), capacity, random.Random(seed))
    assert len(kept) == min(length, capacity) == len(set(kept))
    assert set(kept) <= set(range(length))
    assert kept == sample_stream(range(length), capacity, random.Random(seed))


def test_each_item_of_a_stream_is_as_likely_as_any_other() -> None:
    """Over many seeds the first and the last items are kept as often as all others: no queue, and no head start."""
    counts = Counter(item for seed in range(3000) for item in sample_stream(range(12), 4, random.Random(seed)))
    # Items of one draw are not independent, and repel each other: the true p-value is larger.
    assert chi_square(counts, dict.fromkeys(range(12), 1 / 12)) > 1e-3


def test_making_room_keeps_the_sample_fair() -> None:
    """Rows of an earlier task survive with equal chances: cutting the list would favour the first."""
    counts: Counter[int] = Counter()
    for seed in range(3000):
        memory = remember({}, "a", 12, capacity=8, rng=random.Random(seed))
        counts.update(remember(memory, "b", 5, capacity=8, rng=random.Random(seed + 9000))["a"])
    assert chi_square(counts, dict.fromkeys(range(12), 1 / 12)) > 1e-3


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(6, 60), st.integers(0, 99))
def test_memory_is_balanced_and_bounded(sizes: list[int], capacity: int, seed: int) -> None:
    """After each task all tasks learned have the same quota, or all of their rows; what is lost never comes back."""
    memory: dict[str, list[int]] = {}
    for number, size in enumerate(sizes, start=1):
        before, task = memory, f"task {number}"
        memory = remember(before, task, size, capacity=capacity, rng=random.Random(seed))
        quota = capacity // number
        assert [len(rows) for rows in memory.values()] == [min(quota, rows) for rows in sizes[:number]]
        assert sum(map(len, memory.values())) <= capacity
        assert all(set(memory[name]) <= set(rows) for name, rows in before.items())
        assert set(memory[task]) <= set(range(size))


def test_remembering_changes_nothing_that_is_handed_in() -> None:
    """The memory of the stage before is as it was: it is stored, and a run may go on from it."""
    before = {"a": [1, 2, 3, 4]}
    after = remember(before, "b", 9, capacity=4, rng=random.Random(0))
    assert before == {"a": [1, 2, 3, 4]}
    assert [len(rows) for rows in after.values()] == pytest.approx([2, 2])
