"""Batches: every row once, like beside like, within the budget, and halved where they are too large."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.generation.batching import sorted_batches, work_through


@given(st.lists(st.integers(1, 600)), st.integers(1, 40), st.one_of(st.none(), st.integers(1, 2_000)))
def test_every_row_is_in_one_batch(lengths: list[int], batch_size: int, budget: int | None) -> None:
    """No row is lost or doubled, no batch is too large, and lengths fall from batch to batch."""
    batches = sorted_batches(lengths, batch_size, budget)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    ordered = [lengths[index] for batch in batches for index in batch]
    assert ordered == sorted(lengths, reverse=True)
    if budget is not None:
        assert all(len(batch) == 1 or len(batch) * lengths[batch[0]] <= budget for batch in batches)


@given(st.lists(st.integers(1, 600), max_size=60), st.integers(1, 40), st.integers(1, 40))
def test_too_large_batches_are_halved(lengths: list[int], batch_size: int, room: int) -> None:
    """Where a batch of more than ``room`` rows fails, every row is still worked on once, in batches that fit."""
    asked: list[int] = []

    def work(batch: Sequence[int]) -> list[int]:
        asked.append(len(batch))
        if len(batch) > room:
            raise MemoryError
        return [lengths[index] for index in batch]

    batches = sorted_batches(lengths, batch_size)
    done = list(work_through(batches, work, too_large=lambda error: isinstance(error, MemoryError)))
    assert sorted(index for batch, _ in done for index in batch) == list(range(len(lengths)))
    assert all(values == [lengths[index] for index in batch] for batch, values in done)
    # What failed once is not tried again at its size: at most one failure for each halving.
    assert sum(size > room for size in asked) <= batch_size.bit_length()


def test_other_errors_and_single_rows_are_raised() -> None:
    """An error of another kind is nobody's size, and a row that alone is too large is not tried for ever."""
    for error, rows in ((ValueError, 4), (MemoryError, 1)):

        def work(batch: Sequence[int], error: type[Exception] = error) -> None:
            raise error

        with pytest.raises(error):
            list(work_through([range(rows)], work, too_large=lambda seen: isinstance(seen, MemoryError)))
