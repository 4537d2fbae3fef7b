"""Spans of a text: from characters to the tokens of a window, and from a window's scores back to a span.

A window's ``offsets`` have an entry for each of its tokens: where a token of the passage stands in the passage, and
nothing for a token that is not of the passage (the question, special tokens) or that holds no letter of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.data.rows import Span

Offsets = Sequence[Span | None]

NO_ANSWER = (0, 0)
"""Where a window without an answer points: its first token (Devlin et al. 2019, section 4.3)."""


def find_span(offsets: Offsets, spans: Sequence[Span]) -> tuple[int, int]:
    """First and last token of the first span that is wholly in the window; `NO_ANSWER` where none is.

    A token that holds an edge of the span is part of it, for a tokenizer may not cut there.
    """
    known = [offset for offset in offsets if offset]
    for start, end in spans:
        if not known or known[0][0] > start or known[-1][1] < end:
            continue
        covered = [place for place, offset in enumerate(offsets) if offset and offset[0] < end and offset[1] > start]
        if covered:
            return covered[0], covered[-1]
    return NO_ANSWER


def best_span(
    starts: NDArray[np.floating], ends: NDArray[np.floating], offsets: Offsets, *, longest: int
) -> tuple[float, Span]:
    """The span of a window whose sum of start and end score is highest: in the passage, in order, and not too long.

    Args:
        starts: (tokens,) score of each token as the first of the answer.
        ends: (tokens,) the same as its last.
        offsets: (tokens,) where each token stands in the passage.
        longest: tokens that an answer may have.

    Returns:
        The score, and the span in characters; of equal scores the one that begins first, and of these the shortest.
        Minus infinity and an empty span where the window shows nothing of the passage.

    Source: Devlin et al. 2019, "BERT", section 4.2.
    """
    if not any(offsets):
        return float("-inf"), (0, 0)
    outside = np.array([offset is None for offset in offsets])
    starts, ends = np.where(outside, -np.inf, starts), np.where(outside, -np.inf, ends)
    padded = np.concatenate([ends, np.full(longest - 1, -np.inf)])
    # Row i holds the scores of the spans that begin at token i, by their length.
    scores = starts[:, None] + np.lib.stride_tricks.sliding_window_view(padded, longest)
    first, more = divmod(int(scores.argmax()), longest)
    begin, end = offsets[first], offsets[first + more]
    assert begin is not None  # noqa: S101 - what is outside scores minus infinity
    assert end is not None  # noqa: S101
    return float(scores[first, more]), (begin[0], end[1])
