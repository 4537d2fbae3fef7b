"""From records of named columns to rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from harness.config import DataSettings
from harness.data.limits import require_size
from harness.data.newsroom import Event
from harness.data.rows import Row
from harness.errors import ColumnError, DataError

Record = Mapping[str, Any]
Role = Literal["input", "context", "target"]


class Reader(Protocol):
    """Makes rows of records."""

    @property
    def input_columns(self) -> tuple[str, ...]:
        """Where a record usually keeps its input."""

    @property
    def context_columns(self) -> tuple[str, ...]:
        """Where a record usually keeps the passage that is asked about; nothing where nothing is asked."""

    @property
    def target_columns(self) -> tuple[str, ...]:
        """Where a record usually keeps its target."""

    def read(self, cells: Cells) -> Row:
        """The row of a record.

        Raises:
            EmptyCell: a cell that must not be empty is.
            DataError: a cell holds something else than it should.
            ColumnError: a column is not there.
        """


class Teller(Reader, Protocol):
    """Makes rows of events as well, and knows their labels; every task does."""

    def tell(self, event: Event) -> Row:
        """The row of an event of the newsroom."""

    def labels_of(self, row: Row) -> tuple[str, ...]:
        """The labels that a row carries; none where targets are texts."""

    def name_labels(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """The names of all labels that the rows know of, in the order of their ids; none where targets are texts."""


class EmptyCell(Exception):  # noqa: N818 - a signal, not an error: such rows may be dropped
    """A cell has nothing to learn from.

    Args:
        column: its column.
        seen: what it is.
    """

    def __init__(self, column: str, seen: str = "is empty") -> None:
        super().__init__(column, seen)
        self.column, self.seen = column, seen


@dataclass(frozen=True, kw_only=True)
class Cells:
    """One record, and where it stands.

    Args:
        record: column to value.
        id: the id its row gets.
        where: the source, for messages.
        number: its place in the source, from 0.
        columns: for each role the columns to look for, the first that is there counts.
        settings: say how labels are named.
    """

    record: Record
    id: str
    where: str
    number: int
    columns: Mapping[Role, Sequence[str]]
    settings: DataSettings = field(default_factory=DataSettings)

    def column(self, role: Role) -> str:
        """The column that plays a role.

        Raises:
            ColumnError: none of them is there.
        """
        return self.find(self.columns[role], role, fix=f'Set data.{role}_columns = ["..."].')

    def find(self, names: Sequence[str], what: str, *, fix: str) -> str:
        """The first of some columns that is there."""
        for name in names:
            if name in self.record:
                return name
        raise ColumnError(
            f"{self.where} has no {what} column: looked for {', '.join(names)}; "
            f"it has {', '.join(map(str, self.record)) or 'none'}.",
            fix=fix,
        )

    def texts(self, column: str) -> tuple[str, ...]:
        """The texts of a cell that holds one or a list, the empty ones left out; at least one.

        Raises:
            EmptyCell: there is none.
            DataError: it holds something else.
        """
        value = self.record[column]
        texts: list[Any] = value if isinstance(value, list) else [value]
        checked = [self.check_text(text, column) for text in texts]
        kept = tuple(text for text in checked if text is not None and text.strip())
        if not kept:
            raise EmptyCell(column)
        return kept

    def check_text(self, text: Any, column: str) -> str | None:
        """A text of a cell as it is, or nothing.

        Raises:
            DataError: it is something else.
        """
        if text is not None and not isinstance(text, str):
            raise self.error(
                f'column "{column}" holds no text but {type(text).__name__}: {text!r:.60}.',
                fix="Name a column of texts in data.input_columns and data.target_columns.",
            )
        if text is not None and not _is_encodable(text):
            raise self.error(
                f'column "{column}" holds half of a character (a lone surrogate): {text!r:.60}.',
                why="No tokenizer can read it.",
                fix="Write the file anew as UTF-8; the text was cut inside an emoji or a rare letter.",
            )
        return text

    def text(self, column: str) -> str:
        """The text of a cell; a list is joined by line breaks."""
        return "\n".join(self.texts(column))

    def error(self, seen: str, *, fix: str, why: str = "") -> DataError:
        """An error that says which row it is about."""
        return DataError(f"{self.where}, row {self.number + 1} (counted from 1): {seen}", why=why, fix=fix)


class TextPairs:
    """Reads a text and the texts it should become.

    A target column may hold one text or a list of texts: all are references, and the first is the target. An input
    that is a list of sentences is joined by line breaks.
    """

    input_columns: tuple[str, ...] = ("input", "document", "text", "article", "source")
    context_columns: tuple[str, ...] = ()
    target_columns: tuple[str, ...] = ("target", "summary", "reference", "highlights")

    def read(self, cells: Cells) -> Row:
        """The row of a record."""
        source = cells.text(cells.column("input"))
        references = cells.texts(cells.column("target"))
        return Row(id=cells.id, input=source, target=references[0], references=references)

    def write(self, row: Row) -> dict[str, Any]:
        """The record that `read` makes this row of."""
        return {
            "id": row.id,
            self.input_columns[0]: row.input,
            self.target_columns[0]: row.target if row.references == (row.target,) else list(row.references),
        }

    def read_record(self, record: Record, number: int, *, where: str = "the rows") -> Row:
        """The row of one record in the usual columns; it keeps its id where it has one."""
        columns: dict[Role, Sequence[str]] = {
            "input": self.input_columns,
            "context": self.context_columns,
            "target": self.target_columns,
        }
        name = str(record.get("id", number))
        return self.read(Cells(record=record, id=name, where=where, number=number, columns=columns))


def to_rows(
    records: Iterable[Record], settings: DataSettings, reader: Reader, *, where: str, prefix: str = ""
) -> Iterator[Row]:
    """Map records to rows, which take their id from their position.

    Args:
        records: mappings from column to value.
        settings: may name the columns, and whether empty rows are dropped.
        reader: makes the row of a record.
        where: the source, for messages.
        prefix: put before each id.

    Raises:
        ColumnError: none of the asked columns is there.
        DataError: there is no record or too many, one is too long, or a cell holds something else than it should.
    """
    columns: dict[Role, Sequence[str]] = {
        "input": settings.input_columns or reader.input_columns,
        "context": settings.context_columns or reader.context_columns,
        "target": settings.target_columns or reader.target_columns,
    }
    number = -1
    for number, record in enumerate(records):
        cells = Cells(
            record=record, id=f"{prefix}{number}", where=where, number=number, columns=columns, settings=settings
        )
        try:
            row = reader.read(cells)
        except EmptyCell as empty:
            if settings.drop_empty:
                continue
            raise cells.error(
                f'column "{empty.column}" {empty.seen}.',
                why="A model learns nothing from it, and no metric can score it.",
                fix="Fill the cell, drop the row, or set data.drop_empty = true.",
            ) from None
        require_size(row, number, settings.limits, where)
        yield row
    if number < 0:
        raise DataError(f"{where} holds no rows.", fix="Check how it was written.")


def _is_encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
