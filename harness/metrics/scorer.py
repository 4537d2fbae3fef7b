"""The families of scores that apply to a set of rows, as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.rows import Row
from harness.errors import DataError
from harness.metrics.metric import Metric, Output, Table
from harness.registry import Registry


@dataclass(frozen=True)
class Scorer:
    """Several families, scored together."""

    families: tuple[Metric, ...]

    @property
    def signatures(self) -> dict[str, str]:
        """Each score's name and its signature, the most telling first."""
        return {name: signature for family in self.families for name, signature in family.signatures.items()}

    @property
    def lower_is_better(self) -> tuple[str, ...]:
        """The scores of which less is better."""
        return tuple(name for family in self.families for name in family.signatures if name in family.lower_is_better)

    @property
    def relative(self) -> tuple[str, ...]:
        """The scores of which a point of difference is a percent."""
        return tuple(name for family in self.families for name in family.signatures if name in family.relative)

    def score(self, outputs: Sequence[Output], rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """Every score of every row: arrays of shape (rows,)."""
        return {name: scores for family in self.families for name, scores in family.score(outputs, rows).items()}

    def tables(self, outputs: Sequence[Output], rows: Sequence[Row]) -> tuple[Table, ...]:
        """What reports show beside the scores."""
        return tuple(table for family in self.families for table in family.tables(outputs, rows))


def choose_scores(
    metrics: Registry[Metric], names: Sequence[str], rows: Sequence[Row], labels: Sequence[str] = ()
) -> Scorer:
    """The families among ``names`` that can score these rows.

    Args:
        metrics: the families by name.
        names: those that the task is scored by.
        rows: the evaluation rows.
        labels: the names of all labels in the order of their ids; none where targets are texts.

    Raises:
        DataError: there is none.
    """
    known = [metrics[name].for_labels(labels) if labels else metrics[name] for name in names]
    families = tuple(family for family in known if family.applies(rows))
    if not families:
        raise DataError(
            f"None of {', '.join(names)} can score these {len(rows)} rows.",
            why="What is not scored cannot be compared.",
            fix="Give the rows references.",
        )
    return Scorer(families)
