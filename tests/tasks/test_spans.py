"""Spans: from characters to tokens and back, held against brute force."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from harness.data.rows import Span
from harness.tasks.spans import NO_ANSWER, Offsets, best_span, find_span


@st.composite
def windows(draw: st.DrawFn) -> list[Span | None]:
    """Offsets of a window: tokens outside the passage in front, then tokens in order, some with a gap between them."""
    offsets: list[Span | None] = [None] * draw(st.integers(1, 3))
    place = draw(st.integers(0, 5))
    for gap, length in draw(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3)), max_size=8)):
        place += gap
        offsets.append((place, place + length) if length else None)
        place += length
    return [*offsets, None]


SPANS = st.lists(st.tuples(st.integers(0, 30), st.integers(1, 8)).map(lambda pair: (pair[0], sum(pair))), max_size=3)


@given(offsets=windows(), spans=SPANS)
@example(offsets=[None, (0, 3), (3, 6), None], spans=[(2, 4)])
@example(offsets=[None, (0, 3), (3, 6), None], spans=[(3, 7), (3, 6)])
def test_labels_are_the_tokens_that_hold_a_letter_of_the_answer(offsets: Offsets, spans: list[Span]) -> None:
    """The first span whose letters lie between the window's first and last gives its tokens; without one, the first."""
    shown = [place for offset in offsets if offset for place in range(*offset)]
    expected = NO_ANSWER
    for span in reversed(spans):
        letters = set(range(*span))
        tokens = [n for n, offset in enumerate(offsets) if offset and letters & set(range(*offset))]
        if shown and min(shown) <= min(letters) and max(letters) <= max(shown) and tokens:
            expected = tokens[0], tokens[-1]
    assert find_span(offsets, spans) == expected


SCORES = st.integers(-3, 3).map(float)


@given(offsets=windows(), longest=st.integers(1, 12), data=st.data())
def test_best_span_is_that_of_brute_force(offsets: Offsets, longest: int, data: st.DataObject) -> None:
    """Of all spans in the passage, in order and not too long, the best; of equals the first, and then the shortest."""
    starts, ends = (np.array(data.draw(st.lists(SCORES, min_size=len(offsets), max_size=len(offsets)))) for _ in "ab")
    every = [
        (-(starts[first] + ends[last]), first, last)
        for first in range(len(offsets))
        for last in range(first, min(first + longest, len(offsets)))
        if offsets[first] and offsets[last]
    ]
    score, span = best_span(starts, ends, offsets, longest=longest)
    if not every:
        assert (score, span) == (-math.inf, (0, 0))
        return
    worst, first, last = min(every)
    begin, end = offsets[first], offsets[last]
    assert begin is not None
    assert end is not None
    assert (score, span) == (-worst, (begin[0], end[1]))


def test_best_span_of_a_long_window() -> None:
    """An answer may be longer than all that is left of the window."""
    starts, ends = np.array([0.0, 1.0, 5.0]), np.array([9.0, 1.0, 2.0])
    assert best_span(starts, ends, [None, (0, 4), (5, 9)], longest=30) == (7.0, (5, 9))
