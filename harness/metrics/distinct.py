"""How little outputs repeat themselves and one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from harness.data.rows import Row
from harness.metrics.metric import Metric, Output
from harness.statistics.jackknife import SHARES, share_by_row

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Distinct(Metric):
    """How many different words and pairs of words all outputs have, as a share of all their words and pairs.

    In percent points, 0 where there are none; words are what blanks divide. They are scores of the set, of which each
    row has its jackknife share; a set that grows repeats itself more, so compare sets of the same rows. References do
    not matter.

    Source: Li et al. 2016, "A Diversity-Promoting Objective Function for Neural Conversation Models", section 5.3, with
    pairs as a share of pairs; the paper divides both by the number of words.
    """

    compares = False

    @property
    def signatures(self) -> dict[str, str]:
        """Each score's name and its signature."""
        return {name: f"{name}|tok:blanks|case:mixed|{SHARES}|version:1" for name in ("distinct1", "distinct2")}

    def score(self, outputs: Sequence[Output], rows: Sequence[Row]) -> dict[str, Floats]:
        """The share of each row: arrays of shape (rows,), float64."""
        words = [output.text.split() for output in outputs]
        return {
            "distinct1": _share_distinct(words),
            "distinct2": _share_distinct([list(pairwise(row)) for row in words]),
        }


def _share_distinct(rows: Sequence[Sequence[object]]) -> Floats:
    """The jackknife share of each row's pieces in the distinct pieces of all; a row takes along what only it has."""
    holders = Counter(piece for row in rows for piece in set(row))
    alone = np.array([sum(holders[piece] == 1 for piece in set(row)) for row in rows], dtype=np.float64)
    lengths = np.array([len(row) for row in rows], dtype=np.float64)
    whole = 100 * len(holders) / max(lengths.sum(), 1)
    return share_by_row(float(whole), 100 * (len(holders) - alone) / np.maximum(lengths.sum() - lengths, 1))


DISTINCT = Distinct()
