"""What the targets of a split look like: classes, texts, or placeholders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from harness.checks.evidence import Row, read_column

LONGEST_NAME = 4
"""Words that the name of a class has at most."""
FEW = 3
"""So few rows may have the same target by chance."""


def read_targets(rows: Sequence[Row], column: str) -> list[Any]:
    """The targets of rows; one list of all tags where each row has a list of them."""
    values = [read_column(row, column) for row in rows]
    return [entry for value in values for entry in (value if isinstance(value, list | tuple) else [value])]


def find_strange(known: Sequence[Any], found: Sequence[Any], declared: Sequence[str] | None = None) -> str:
    """What is wrong with the targets of a split; empty where nothing is.

    Args:
        known: targets of the training split.
        found: targets of the other split.
        declared: names of the classes, where the user gave them.
    """
    names, seen = {str(value) for value in known}, [str(value) for value in found]
    empty = sum(value is None or not str(value).strip() for value in found)
    if 2 * empty > len(seen):
        return f"{empty} are empty"
    if len(set(seen)) == 1 and len(seen) > FEW and len(names) > 1:
        return "all are the same"
    if not are_classes(known):
        return ""
    outside = sum(_is_outside(value, names, declared) for value in found)
    return f"{outside} are no class that is known" if 2 * outside > len(seen) else ""


def are_classes(values: Sequence[Any]) -> bool:
    """Whether targets are names or numbers of classes, rather than texts or measurements."""
    short = all(
        isinstance(value, int) or (isinstance(value, str) and len(value.split()) <= LONGEST_NAME) for value in values
    )
    return short and 2 * len(set(values)) <= len(values)


def show_values(values: Sequence[Any]) -> str:
    """The first few different values."""
    kinds = sorted({str(value) for value in values})
    return ", ".join([*(repr(kind[:20]) for kind in kinds[:FEW]), *(["..."] if len(kinds) > FEW else [])])


def _is_outside(value: Any, known: set[str], declared: Sequence[str] | None) -> bool:
    if str(value) in known:
        return False
    by_number = isinstance(value, int) and declared is not None and 0 <= value < len(declared)
    return not by_number and value not in (declared or ())
