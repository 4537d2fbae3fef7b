"""Data sets of ``datasets`` store classes as numbers and their names beside them; rows want the names, and no media."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.data.columns import Record


def name_classes(dataset: Any) -> Iterator[Record]:
    """The records of a data set, with the names of classes in place of their numbers, also within lists.

    Args:
        dataset: a ``datasets.Dataset``; a number without a name, as -1 where nobody labelled, becomes nothing. Columns
            of pictures, sounds and the like are left out unread: to read one may fetch it from wherever its row says.
    """
    dataset = dataset.remove_columns([column for column, feature in dataset.features.items() if _has_media(feature)])
    known = {column: names for column, feature in dataset.features.items() if (names := _read_names(feature))}
    for record in dataset:
        yield {**record, **{column: _name(record[column], names) for column, names in known.items()}}


def _has_media(feature: Any) -> bool:
    """Whether something is decoded where a record of this feature is read; of JSON that is its text."""
    if isinstance(feature, dict):
        return any(map(_has_media, feature.values()))
    if isinstance(feature, list):
        return any(map(_has_media, feature))
    if hasattr(feature, "feature"):
        return _has_media(feature.feature)
    return hasattr(feature, "decode") and type(feature).__name__ != "Json"


def _read_names(feature: Any) -> Sequence[str]:
    """The names of a ``ClassLabel``, or of a list of them."""
    names: Sequence[str] = getattr(getattr(feature, "feature", feature), "names", None) or ()
    return names


def _name(value: Any, names: Sequence[str]) -> Any:
    if isinstance(value, list):
        return [_name(entry, names) for entry in value]
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else None
