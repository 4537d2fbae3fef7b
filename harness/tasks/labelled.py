"""Tasks in which a text has one label out of a few: how a cell becomes a label's name."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import ClassVar

from harness.data.columns import Cells, EmptyCell
from harness.data.known_labels import say_labels
from harness.data.rows import NAMED, Row
from harness.errors import DataError
from harness.tasks.task import Task


class Labelled(Task):
    """Texts with one label each; a label is a name, also where the data has a number."""

    forms: ClassVar = {"encoder": "sequence-head", "encoder-decoder": "encoder-decoder", "causal": "causal"}
    input_columns: tuple[str, ...] = ("text", "sentence", "input", "document", "tweet", "review", "content", "title")
    target_columns: tuple[str, ...] = ("label", "category", "topic", "class", "intent", "emotion", "target")

    def read(self, cells: Cells) -> Row:
        """The row of a record.

        Raises:
            EmptyCell: text or label is empty.
            DataError: the label is of no use, or not on ``data.scale``.
            ColumnError: a column is not there.
        """
        return Row(id=cells.id, input=cells.text(cells.column("input")), target=read_label(cells))

    def labels_of(self, row: Row) -> tuple[str, ...]:
        """The row's label."""
        return (row.target,)

    def name_labels(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """The names of the rows' labels: numbers by size, others by the alphabet.

        Raises:
            DataError: some labels are numbers and others are not.
        """
        labels = {row.target for row in rows}
        numbers = {label for label in labels if read_number(label) is not None}
        if not numbers:
            return tuple(sorted(labels))
        if numbers < labels:
            _refuse_mixture(rows, numbers)
        return tuple(sorted(labels, key=lambda label: (float(label), label)))


def read_label(cells: Cells) -> str:
    """The name of a record's label: a text without the blanks around it, a number as text, or its place on the scale.

    Whole numbers have no decimals, for a column of whole numbers with gaps is often stored as 1.0, 2.0 and nothing.

    Raises:
        EmptyCell: there is no label.
        DataError: the cell is no single label, or the label is not on ``data.scale``.
        ColumnError: there is no column of labels.
    """
    column, scale, thresholds = cells.column("target"), cells.settings.scale, cells.settings.thresholds
    value = cells.record[column]
    if isinstance(value, float) and math.isnan(value):
        raise EmptyCell(column)
    if thresholds is not None and scale is not None and value is not None:
        return grade(cells, column, thresholds, scale)
    if isinstance(value, bool):
        label = str(value).lower()
    elif isinstance(value, int | float):
        label = str(int(value)) if math.isfinite(value) and value == int(value) else str(value)
    elif value is None or isinstance(value, str):
        label = cells.text(column).strip()
    else:
        raise cells.error(
            f'column "{column}" holds no label but {type(value).__name__}: {value!r:.60}.',
            why="A text has one label here.",
            fix="Name a column of single labels in data.target_columns.",
        )
    if scale is not None and label not in scale:
        raise cells.error(
            f'the label "{label:.60}" is not among those of data.scale: {say_labels(scale)}.',
            fix="Mend the label, or add it to data.scale; where targets are numbers, set data.thresholds as well.",
        )
    return label


def grade(cells: Cells, column: str, thresholds: Sequence[float], scale: Sequence[str]) -> str:
    """The label of the number in a cell; a number that is a threshold has the label that begins there.

    Raises:
        EmptyCell: the cell is empty.
        DataError: it holds no number.
    """
    value = cells.record[column]
    if isinstance(value, bool):
        number = None
    else:
        number = read_number(value if isinstance(value, int | float) else cells.text(column))
    if number is None:
        raise cells.error(
            f'column "{column}" holds {value!r:.60}, and data.thresholds wants numbers.',
            fix="Name a column of numbers in data.target_columns, or leave data.thresholds out.",
        )
    return scale[bisect_right(thresholds, number)]


def read_number(text: str | float) -> float | None:
    """The finite number that a text is, if it is one."""
    try:
        number = float(text)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _refuse_mixture(rows: Sequence[Row], numbers: set[str]) -> None:
    numbered = [row for row in rows if row.target in numbers]
    worded = [row for row in rows if row.target not in numbers]
    few, many, kind = (numbered, worded, "numbers") if len(numbered) <= len(worded) else (worded, numbered, "words")
    named = ", ".join(f'row id {row.id} "{row.target}"' for row in few[:NAMED])
    raise DataError(
        f"{len(few)} of {len(rows)} rows have {kind} for labels, unlike the others: {named}; "
        f'row id {many[0].id} has "{many[0].target}".',
        why="One kind is no label of this set, or a label under another name.",
        fix="Mend these rows; where both are meant, name all labels in data.scale.",
    )
