"""Scoring plain texts, which belong to no data set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.data.rows import Row
from harness.errors import DataError
from harness.metrics.metric import Metric, Output


def score_texts(
    metric: Metric, texts: Sequence[str], references: Sequence[Sequence[str]]
) -> dict[str, NDArray[np.float64]]:
    """Score each text against its references, the first of which is its target.

    Returns:
        For each name of the metric's signatures an array of shape (texts,), float64.

    Raises:
        DataError: the numbers of texts and references differ, or the metric cannot score these rows.
    """
    if len(texts) != len(references):
        raise DataError(
            f"There are {len(texts)} texts, and references for {len(references)}.",
            fix="Give a list of references for each text, in the same order.",
        )
    rows = [
        Row(id=str(number), input="", target=listed[0] if listed else "", references=tuple(listed))
        for number, listed in enumerate(references)
    ]
    if not metric.applies(rows):
        raise DataError(
            f"{' and '.join(metric.signatures)} cannot be computed from these {len(rows)} references.",
            fix="Give every text a reference of the kind that this metric compares to.",
        )
    return metric.score([Output(text=text) for text in texts], rows)


def have_references(rows: Sequence[Row]) -> bool:
    """Whether every row has a text to compare to."""
    return all(any(row.references) for row in rows)
