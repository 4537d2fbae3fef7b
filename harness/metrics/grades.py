"""Labels that have an order: how close is close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from harness.data.rows import Row
from harness.data.scales import order_labels
from harness.errors import DataError
from harness.metrics.classes import Classes, confusion_table, read_labels
from harness.metrics.metric import Output, Table


@dataclass(frozen=True)
class Grades(Classes):
    """Accuracy and macro F1 as of `Classes`, and ``closeness``: 100 for the right label, 0 for the other end.

    Closeness is ``100 * (1 - ranks apart / (labels - 1))``, so its mean is 100 less the mean absolute error in ranks,
    as a share of the widest there can be; an output that is no label has 0. It applies where the order is known: by
    ``order``, by number, or by one of `harness.data.scales`.

    Args:
        order: the labels from lowest to highest, where they are no known scale.

    Source: Baccianella, Esuli and Sebastiani 2009, "Evaluation Measures for Ordinal Regression", section 2.
    """

    order: tuple[str, ...] = ()

    @property
    def signatures(self) -> dict[str, str]:
        """Each score's name and its signature."""
        inherited = super().signatures
        order = f"|order:{'<'.join(self.order)}" if self.order else ""
        return {
            "accuracy": inherited["accuracy"],
            "macro_f1": inherited["macro_f1"],
            "closeness": f"closeness{order}|rows:mean|version:1",
        }

    def for_labels(self, labels: Sequence[str]) -> Grades:
        """The same with the order of these labels."""
        return replace(self, order=tuple(labels))

    def applies(self, rows: Sequence[Row]) -> bool:
        """Whether the order of the rows' labels is known."""
        return self._order(rows) is not None

    def score(self, outputs: Sequence[Output], rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """Score each output against its row's target: arrays of shape (rows,), float64.

        Raises:
            DataError: the order of the labels is not known.
        """
        labels = self._require_order(rows)
        ranks = {label: rank for rank, label in enumerate(labels)}
        widest = max(len(labels) - 1, 1)
        meant, said = read_labels(outputs, rows)
        closeness = [
            100 * (1 - abs(ranks[one] - ranks[other]) / widest) if other in ranks else 0.0
            for one, other in zip(meant, said, strict=True)
        ]
        scores = super().score(outputs, rows)
        return {
            "accuracy": scores["accuracy"],
            "macro_f1": scores["macro_f1"],
            "closeness": np.array(closeness, dtype=np.float64),
        }

    def tables(self, outputs: Sequence[Output], rows: Sequence[Row]) -> tuple[Table, ...]:
        """The confusion matrix, from the lowest label to the highest."""
        meant, said = read_labels(outputs, rows)
        return (confusion_table(meant, said, self._require_order(rows)),)

    def _order(self, rows: Sequence[Row]) -> tuple[str, ...] | None:
        return order_labels((row.target.strip() for row in rows), *([self.order] if self.order else []))

    def _require_order(self, rows: Sequence[Row]) -> tuple[str, ...]:
        order = self._order(rows)
        if order is None:
            named = ", ".join(sorted({row.target.strip() for row in rows})[:5])
            raise DataError(
                f"The order of the labels {named} ... is not known.",
                why="Closeness counts how many ranks an output is off.",
                fix="Name the order: Grades(order=(lowest, ..., highest)), or use the metric classes.",
            )
        return order


GRADES = Grades()
