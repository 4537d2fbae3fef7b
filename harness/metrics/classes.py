"""Accuracy and F1 of labels, where each row has one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.rows import Row
from harness.data.scales import order_labels
from harness.metrics.metric import Metric, Output, Table
from harness.statistics.jackknife import SHARES, share_of_sums

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Classes(Metric):
    """Accuracy, and F1 averaged over the labels that are the target of some row, in percent points.

    Outputs are labels' names, compared after ``strip()``; an output that is no row's label is wrong and has no F1 of
    its own. So the labels that are averaged over are the same for every model. Of F1 each row has its jackknife share.

    Source: Sokolova and Lapalme 2009, "A systematic analysis of performance measures for classification tasks"; of the
    two macro F1 of Opitz and Burst 2019, "Macro F1 and Macro F1", the mean of the labels' F1.
    """

    @property
    def signatures(self) -> dict[str, str]:
        """Each score's name and its signature."""
        return {
            "accuracy": "accuracy|rows:mean|version:1",
            "macro_f1": f"macro_f1|labels:targets|zero:0|{SHARES}|version:1",
            "weighted_f1": f"weighted_f1|labels:targets|zero:0|{SHARES}|version:1",
        }

    def score(self, outputs: Sequence[Output], rows: Sequence[Row]) -> dict[str, Floats]:
        """Score each output against its row's target: arrays of shape (rows,), float64."""
        meant, said = read_labels(outputs, rows)
        labels = np.array(sorted(set(meant)))
        is_meant = np.array(meant)[:, None] == labels
        is_said = np.array(said)[:, None] == labels
        counts = np.stack([is_meant & is_said, is_meant, is_said], axis=-1).astype(np.float64)
        return {
            "accuracy": 100 * counts[:, :, 0].sum(axis=1),
            "macro_f1": share_of_sums(counts, macro_f1),
            "weighted_f1": share_of_sums(counts, weighted_f1),
        }

    def tables(self, outputs: Sequence[Output], rows: Sequence[Row]) -> tuple[Table, ...]:
        """The confusion matrix: a line for each target, a column for each output."""
        meant, said = read_labels(outputs, rows)
        return (confusion_table(meant, said, order_labels(meant) or tuple(sorted(set(meant)))),)


def read_labels(outputs: Sequence[Output], rows: Sequence[Row]) -> tuple[list[str], list[str]]:
    """The labels that were meant and the labels that were said, row by row."""
    pairs = [(row.target.strip(), output.text.strip()) for output, row in zip(outputs, rows, strict=True)]
    return [meant for meant, _ in pairs], [said for _, said in pairs]


def macro_f1(counts: Floats) -> Floats:
    """The mean of the labels' F1.

    Args:
        counts: (..., labels, 3) float64, for each label the rows where it was right, meant and said.

    Returns:
        (...) float64, in percent points.
    """
    mean: Floats = _f1_by_label(counts).mean(axis=-1)
    return mean


def weighted_f1(counts: Floats) -> Floats:
    """The mean of the labels' F1, each as often as it was meant; arguments as for `macro_f1`."""
    meant = counts[..., 1]
    weighted: Floats = (_f1_by_label(counts) * meant).sum(axis=-1) / np.maximum(meant.sum(axis=-1), 1)
    return weighted


def confusion_table(meant: Sequence[str], said: Sequence[str], labels: Sequence[str]) -> Table:
    """How often each label was said where each was meant; the last column has outputs that are none of the labels."""
    counted = Counter(zip(meant, said, strict=True))
    lines: list[tuple[str | float, ...]] = []
    for label in labels:
        known = [counted[label, other] for other in labels]
        lines.append((label, *known, meant.count(label) - sum(known)))
    return Table(title="Confusion matrix", columns=("target", *labels, "no label"), rows=tuple(lines), shaded=True)


def _f1_by_label(counts: Floats) -> Floats:
    right, meant, said = np.moveaxis(counts, -1, 0)
    f1: Floats = 200 * right / np.maximum(meant + said, 1)
    return f1


CLASSES = Classes()
