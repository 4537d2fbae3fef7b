"""Which labels there are: what evaluates must have been there to learn, and one label alone teaches nothing."""

from __future__ import annotations

from collections.abc import Sequence

from harness.config import DataSettings
from harness.data.columns import Teller
from harness.data.rows import NAMED, Row, Splits
from harness.errors import DataError
from harness.spool import Spool

NAMED_LABELS = 12
"""How many labels an error message names."""


def put_new_labels_first(rows: Spool[Row], settings: DataSettings, reader: Teller) -> Spool[Row]:
    """Move the first row of each label to the front, so that a label which evaluates also trains.

    Of 77 labels, 240 rows drawn blindly miss three or four. Where few labels are common, hardly a row moves; where
    all labels are named by ``data.scale``, or targets are texts, none does.
    """
    if settings.scale is not None or not reader.name_labels(rows):
        return rows
    seen: set[str] = set()
    first: list[int] = []
    rest: list[int] = []
    for place, row in enumerate(rows):
        labels = set(reader.labels_of(row))
        (rest if labels <= seen else first).append(place)
        seen |= labels
    return rows.take(first + rest)


def require_known_labels(splits: Splits, settings: DataSettings, reader: Teller) -> None:
    """Make sure that the training rows tell labels apart, and that the evaluation rows have no others.

    Raises:
        DataError: all training rows have the same label, or an evaluation row has one that is not known.
    """
    carried = {label for row in splits.train for label in reader.labels_of(row)}
    if not carried:
        return
    if len(carried) == 1:
        raise DataError(
            f'All {len(splits.train)} training rows have the label "{min(carried)}" (the first is row id '
            f"{splits.train[0].id}).",
            why="There is nothing to tell apart.",
            fix="Give rows of at least two labels, or draw more of them (data.train_rows).",
        )
    known = settings.scale or reader.name_labels(splits.train)
    require_known(splits.eval, known, reader, which="evaluation rows")


def require_known(rows: Sequence[Row], known: Sequence[str], reader: Teller, *, which: str = "rows") -> None:
    """Make sure that rows have no other labels than those that are known.

    Args:
        rows: the rows.
        known: the labels that there are.
        reader: knows the labels of a row.
        which: what to call the rows in the message.

    Raises:
        DataError: a row has; the message names it and what is known.
    """
    strange = [(row.id, label) for row in rows for label in reader.labels_of(row) if label not in known]
    if strange:
        named = ", ".join(f'row id {key} "{label:.60}"' for key, label in strange[:NAMED])
        raise DataError(
            f"{len({key for key, _ in strange})} of {len(rows)} {which} have a label that is not known: {named}. "
            f"Known are: {say_labels(known)}.",
            why="No training row has it, so the model could never say it.",
            fix="Mend the labels, draw more training rows (data.train_rows), or name all labels in data.scale; numbers "
            "become labels by data.thresholds.",
        )


def say_labels(labels: Sequence[str]) -> str:
    """Some labels by name, and how many more there are."""
    more = f" and {len(labels) - NAMED_LABELS} more" if len(labels) > NAMED_LABELS else ""
    return ", ".join(label[:60] for label in labels[:NAMED_LABELS]) + more
