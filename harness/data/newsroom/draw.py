"""Random draws that come out the same on every Python version and platform."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draw:
    """A stream of choices named by a key: the same key gives the same choices everywhere.

    Python promises only that ``Random(text).random()`` keeps its sequence across versions; ``choice``,
    ``shuffle`` and ``randrange`` may change. So every choice here is made from ``random()`` alone.
    """

    def __init__(self, *key: object) -> None:
        self._random = random.Random("/".join(map(str, key))).random

    def below(self, bound: int) -> int:
        """An integer in ``0 <= value < bound``."""
        return int(self._random() * bound)

    def between(self, low: int, high: int) -> int:
        """An integer in ``low <= value <= high``."""
        return low + self.below(high - low + 1)

    def chance(self, probability: float) -> bool:
        """True with the given probability (0 to 1)."""
        return self._random() < probability

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, each equally likely."""
        return options[self.below(len(options))]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        """The items in a random order (Fisher-Yates)."""
        order = list(items)
        for last in range(len(order) - 1, 0, -1):
            other = self.below(last + 1)
            order[last], order[other] = order[other], order[last]
        return order
