"""Labels that have an order, from the worst to the best."""

from __future__ import annotations

import math
from collections.abc import Iterable

from harness.data.newsroom import MOOD_NAMES

MOODS = tuple(MOOD_NAMES.values())
"""How the newsroom's witnesses take the news."""

SCALES = (
    MOODS,
    ("negative", "positive"),
    ("negative", "neutral", "positive"),
    ("very negative", "negative", "neutral", "positive", "very positive"),
)
"""The orders that are known by their labels' names."""


def order_labels(labels: Iterable[str], *scales: tuple[str, ...]) -> tuple[str, ...] | None:
    """The labels from lowest to highest: by the first scale that has them all, or numbers by size.

    A scale counts whole, with the labels that no row has: "furious" is as far from "pleased" where nobody is neutral.

    Args:
        labels: what the rows are labelled with.
        scales: are tried before numbers and `SCALES`.

    Returns:
        The order; none where the labels are neither numbers nor on a scale.
    """
    names = set(labels)
    for scale in scales:
        if names <= set(scale):
            return scale
    if names and all(_is_number(name) for name in names):
        return tuple(sorted(names, key=lambda name: (float(name), name)))
    return next((scale for scale in SCALES if names <= set(scale)), None)


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
