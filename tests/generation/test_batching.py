"""Batches: every row once, like beside like."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.generation.batching import sorted_batches


@given(st.lists(st.integers(1, 600)), st.integers(1, 40))
def test_every_row_is_in_one_batch(lengths: list[int], batch_size: int) -> None:
    """No row is lost or doubled, no batch is too large, and lengths fall from batch to batch."""
    batches = sorted_batches(lengths, batch_size)
    assert sorted(index for batch in batches for index in batch) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    ordered = [lengths[index] for batch in batches for index in batch]
    assert ordered == sorted(lengths, reverse=True)
