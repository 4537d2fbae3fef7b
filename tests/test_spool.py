"""Sequences on disk behave as tuples do, and leave the memory alone."""

from __future__ import annotations

import copy
import pickle
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import spool
from harness.spool import Spool, in_parts

ITEMS = st.lists(st.text() | st.integers() | st.tuples(st.text(), st.floats(allow_nan=False)))


@pytest.fixture(params=[0, 1 << 20], ids=["on disk", "in memory"], autouse=True)
def _where(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds of few items, which have no file, and of many."""
    # SpooledTemporaryFile takes 0 for "never"; one byte is "at once".
    monkeypatch.setattr(spool, "IN_MEMORY", request.param or 1)


@given(ITEMS, st.data())
def test_it_is_the_sequence_it_was_made_of(items: list[object], data: st.DataObject) -> None:
    """Length, items, order, slices of slices and any order of places are those of the list."""
    kept = Spool(items)
    assert kept == items
    assert tuple(items) == kept
    assert list(kept) == items
    assert len(kept) == len(items)
    cut, again = data.draw(st.slices(len(items))), data.draw(st.slices(max(1, len(items) // 2)))
    assert kept[cut] == items[cut]
    assert kept[cut][again] == items[cut][again]
    if items:
        places = data.draw(st.lists(st.integers(-len(items), len(items) - 1)))
        assert kept.take(places) == [items[place] for place in places]
        assert kept[places[0] if places else -1] == items[places[0] if places else -1]
        assert kept != items[:-1]
        assert kept != [*items[:-1], object()]


@given(ITEMS, ITEMS)
def test_adding_behind_a_slice_leaves_the_others_alone(items: list[object], more: list[object]) -> None:
    """A slice reads from the same file, and what is added to one is no part of the other."""
    kept = Spool(items)
    head = kept[: len(items) // 2]
    for number, item in enumerate(more):
        (kept if number % 2 else head).append(item)
    assert kept == [*items, *more[1::2]]
    assert head == [*items[: len(items) // 2], *more[::2]]


def test_a_place_that_is_not_there() -> None:
    """It ends where a list ends."""
    with pytest.raises(IndexError):
        Spool("ab")[2]


@given(ITEMS)
def test_copies_are_equal(items: list[object]) -> None:
    """It can be pickled and copied, and outlives what it was made from."""
    kept = Spool(items)
    copies = [pickle.loads(pickle.dumps(kept)), copy.deepcopy(kept), kept[:]]
    del kept
    assert all(each == items for each in copies)


@given(st.lists(st.integers()), st.integers(1, 7))
def test_parts_are_worked_on_in_order(items: list[int], part: int) -> None:
    """Whatever the size of a part: every item once, in order, beside its partner, and never more than a part."""

    def work(one: list[int], other: list[str]) -> Iterator[tuple[int, str]]:
        assert len(one) == len(other) <= part
        yield from zip(one, other, strict=True)

    assert in_parts(work, items, Spool(map(str, items)), part=part) == [(item, str(item)) for item in items]


def test_little_stays_in_memory(request: pytest.FixtureRequest) -> None:
    """20,000 texts of 500 characters are 10 MB; kept on disk they take less than a twentieth."""
    if "on disk" not in request.node.name:
        pytest.skip("few items may stay in memory")
    tracemalloc.start()
    kept = Spool(f"{number:500}" for number in range(20_000))
    assert sum(map(len, kept)) == 10_000_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 500_000
