"""From records of named columns to rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from harness.config import DataSettings
from harness.data.rows import Row
from harness.errors import ColumnError, DataError

Record = Mapping[str, Any]


def to_rows(records: Iterable[Record], settings: DataSettings, *, where: str, prefix: str = "") -> Iterator[Row]:
    """Map columns to rows.

    A target column may hold one text or a list of texts: all are references, and the first is the target. An input
    that is a list of sentences is joined by line breaks. Rows take their id from their position.

    Args:
        records: mappings from column to value.
        settings: the columns to read.
        where: the source, for messages.
        prefix: put before each id.

    Raises:
        ColumnError: none of the asked columns is there.
        DataError: there is no record, or a cell holds no text.
    """
    number = -1
    for number, record in enumerate(records):
        input_column = _find_column(record, settings.input_columns, "input", where)
        target_column = _find_column(record, settings.target_columns, "target", where)
        inputs = _list_texts(record[input_column], where, number, input_column)
        references = _list_texts(record[target_column], where, number, target_column)
        if inputs and references:
            yield Row(id=f"{prefix}{number}", input="\n".join(inputs), target=references[0], references=references)
        elif not settings.drop_empty:
            raise DataError(
                f'{where}, row {number}: column "{target_column if inputs else input_column}" is empty.',
                why="A model learns nothing from it, and no metric can score it.",
                fix="Fill the cell, drop the row, or set data.drop_empty = true.",
            )
    if number < 0:
        raise DataError(f"{where} holds no rows.", fix="Check how it was written.")


def _find_column(record: Record, columns: Sequence[str], role: str, where: str) -> str:
    for column in columns:
        if column in record:
            return column
    raise ColumnError(
        f"{where} has no {role} column: looked for {', '.join(columns)}; "
        f"it has {', '.join(map(str, record)) or 'none'}.",
        fix=f'Set data.{role}_columns = ["..."].',
    )


def _list_texts(value: object, where: str, number: int, column: str) -> tuple[str, ...]:
    """The texts of a cell, the empty ones left out."""
    texts: list[Any] = value if isinstance(value, list) else [value]
    for text in texts:
        if text is not None and not isinstance(text, str):
            raise DataError(
                f'{where}, row {number}: column "{column}" holds no text but {type(text).__name__}: {text!r:.60}.',
                fix="Name a column of texts in data.input_columns and data.target_columns.",
            )
        if text is not None and not _is_encodable(text):
            raise DataError(
                f'{where}, row {number}: column "{column}" holds half of a character (a lone surrogate): {text!r:.60}.',
                why="No tokenizer can read it.",
                fix="Write the file anew as UTF-8; the text was cut inside an emoji or a rare letter.",
            )
    return tuple(text for text in texts if text is not None and text.strip())


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
