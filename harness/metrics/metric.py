"""What a metric has to offer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from harness.data.rows import Row


@dataclass(frozen=True, kw_only=True, slots=True)
class Output:
    """What a model made of one row.

    Args:
        text: the text it wrote, the label's name, the tags joined by blanks, or the answer.
        nats: the negative log-likelihood of the row's target; NaN where it was not measured.
        tokens: over how many tokens ``nats`` is summed.
    """

    text: str
    nats: float = math.nan
    tokens: int = 0


@dataclass(frozen=True, kw_only=True)
class Table:
    """What a report shows beside the scores, as a confusion matrix.

    Args:
        title: what it shows.
        columns: their names.
        rows: one value a column each: a text, a count (int) or a score (float).
        shaded: whether reports darken each number by its share of the row, as in a confusion matrix.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float, ...], ...]
    shaded: bool = False


class Metric(Protocol):
    """A family of scores that are computed together, row by row."""

    lower_is_better: frozenset[str] = frozenset()
    """The scores of which less is better."""
    relative: frozenset[str] = frozenset()
    """The scores that know no percent points: of these a point of difference is a percent of the score."""
    compares: bool = True
    """Whether outputs are compared with references, so that the references themselves score best."""

    @property
    def signatures(self) -> dict[str, str]:
        """Each score's name and its signature: metric, version, options."""
        ...

    def for_labels(self, labels: Sequence[str]) -> Metric:
        """The same for rows that carry some of these labels, which are in the order of their ids."""
        return self

    def applies(self, rows: Sequence[Row]) -> bool:
        """Whether these rows can be scored at all."""
        return True

    def score(self, outputs: Sequence[Output], rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """Score the output of each row.

        Returns:
            For each name of `signatures` an array of shape (rows,), float64, in percent points or the metric's own
            unit. Its mean is the score of the set; of a score that is no mean over rows, as F1, each row has its
            jackknife share (`harness.statistics.jackknife`).
        """
        ...

    def tables(self, outputs: Sequence[Output], rows: Sequence[Row]) -> tuple[Table, ...]:
        """What a report shows beside the scores."""
        return ()
