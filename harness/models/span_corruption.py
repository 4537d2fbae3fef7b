"""Span corruption: the denoising objective that T5 was pre-trained with."""

from __future__ import annotations

from collections.abc import Sequence

from harness.data.newsroom.draw import Draw


def corrupt_spans(
    ids: Sequence[int], *, sentinels: Sequence[int], eos: int, draw: Draw, density: float = 0.15, mean_span: int = 3
) -> tuple[list[int], list[int]]:
    """Cut spans out of ``ids`` and put a sentinel in place of each.

    Args:
        ids: the text's tokens, without EOS.
        sentinels: one token id for each span at most; no more spans than these are cut.
        eos: the end token, put behind both results.
        draw: where the randomness comes from.
        density: the share of tokens to cut (0 to 1).
        mean_span: the mean length of a span, in tokens.

    Returns:
        The corrupted input and its target: each sentinel followed by the tokens it stands for.

    Source: Raffel et al. 2020, "Exploring the Limits of Transfer Learning", section 3.1.4.
    """
    spans = max(1, min(len(sentinels), round(len(ids) * density / mean_span)))
    # A start in each of `spans` equal stretches keeps the spans apart without a search.
    stretch = len(ids) / spans
    source: list[int] = []
    target: list[int] = []
    position = 0
    for number in range(spans):
        start = int(number * stretch) + draw.below(max(1, int(stretch) - 2 * mean_span))
        length = draw.between(1, 2 * mean_span - 1)
        source += [*ids[position:start], sentinels[number]]
        target += [sentinels[number], *ids[start : start + length]]
        position = start + length
    return [*source, *ids[position:], eos], [*target, eos]
