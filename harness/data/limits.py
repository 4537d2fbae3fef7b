"""How much of a source is read before it is refused: a small packed file can hold more than any memory."""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO, Any

from harness.config import LimitSettings
from harness.data.rows import Row
from harness.errors import DataError


def refuse(where: object, seen: str, limits: LimitSettings, name: str) -> DataError:
    """The error for a source that met a limit.

    Args:
        where: the source.
        seen: what it has too much of.
        limits: the limits.
        name: which of them.
    """
    return DataError(
        f"{where} {seen}: the limit is {getattr(limits, name):,}.",
        why="A damaged or hostile file could fill the memory or the disk.",
        fix=f"If the source is what it should be, raise data.limits.{name}.",
    )


class Bounded(io.RawIOBase):
    """A file that is read up to a limit, as it is unpacked.

    Args:
        file: what is read.
        path: its name, for the message.
        limits: the limits.
        name: which of them is that of the bytes.
    """

    def __init__(self, file: IO[bytes], path: Path, limits: LimitSettings, name: str) -> None:
        self._file, self._path, self._limits, self._name = file, path, limits, name

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read, and see how far that led."""
        data = self._file.read(len(buffer))
        buffer[: len(data)] = data
        self._require_place()
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a place, and see how far that led."""
        place = self._file.seek(offset, whence)
        self._require_place()
        return place

    def tell(self) -> int:
        """Where the file is."""
        return self._file.tell()

    def _require_place(self) -> None:
        if self._file.tell() > getattr(self._limits, self._name):
            raise refuse(self._path, "has too many bytes", self._limits, self._name)


def bounded_lines(file: IO[str], path: Path, limits: LimitSettings) -> Iterator[str]:
    """The lines of a text file with their ends.

    Raises:
        DataError: a line has too many characters.
    """
    for number, line in enumerate(iter(partial(file.readline, limits.row_characters + 2), ""), start=1):
        if len(line) > limits.row_characters + 1:
            raise refuse(path, f"has too many characters in line {number}", limits, "row_characters")
        yield line


def require_size(row: Row, number: int, limits: LimitSettings, where: str) -> None:
    """Make sure that a row can be worked with, and that it is not one too many.

    Args:
        row: the row.
        number: its place in the source, from 0.
        limits: the limits.
        where: the source, for the message.

    Raises:
        DataError: it has too many characters, or there are too many rows.
    """
    if number >= limits.rows:
        raise refuse(where, "has too many rows", limits, "rows")
    if len(row.input) + len(row.context) + sum(map(len, row.references)) > limits.row_characters:
        raise refuse(where, f"has too many characters in row {number + 1} (counted from 1)", limits, "row_characters")
