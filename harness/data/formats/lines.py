"""Files as bytes, as text and as lines, whether packed by gzip or not; what cannot be read is a clear error."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from harness.config import LimitSettings
from harness.data.limits import Bounded, bounded_lines
from harness.errors import DataError

BUFFER = 1 << 16
"""Bytes that are unpacked at once."""


def require_content(path: Path) -> None:
    """Make sure that there is a file and something in it.

    Raises:
        DataError: there is none, it is empty, or it is a pipe or a device.
    """
    if not path.exists():
        raise DataError(f"There is no file {path}.", fix="Check the paths in [data] of the settings, or --data.")
    if not (path.is_file() or path.is_dir()):
        raise DataError(
            f"{path} is a pipe or a device.",
            why="It may never end, and cannot be read a second time.",
            fix="Write it into a file first.",
        )
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(f"{path} is empty.", fix="Check how it was written.")


@contextmanager
def open_bytes(path: Path, limits: LimitSettings, *, limit: str = "file_bytes") -> Iterator[IO[bytes]]:
    """Open a file for reading; one that ends in ``.gz`` is unpacked on the way.

    Args:
        path: the file.
        limits: how much is read.
        limit: which limit is that of the bytes.

    Raises:
        DataError: it cannot be opened or, while it is open, read, or it has too many bytes.
    """
    try:
        with cast("IO[bytes]", gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            yield io.BufferedReader(Bounded(file, path, limits, limit), BUFFER)
    except UnicodeDecodeError as error:
        raise DataError(f"{path} cannot be read: {error}.", fix="It must be readable UTF-8 text.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}.", fix="Check how it was written.") from error


@contextmanager
def open_text(path: Path, limits: LimitSettings, *, newline: str = "", limit: str = "file_bytes") -> Iterator[IO[str]]:
    """Open a file of UTF-8 text for reading; a byte order mark is left out.

    Args:
        path: the file.
        limits: how much is read.
        newline: what ends a line, as `open` has it; line ends are left as they are.
        limit: which limit is that of the bytes.

    Raises:
        DataError: it cannot be opened or, while it is open, read, or it has too many bytes.
    """
    with (
        open_bytes(path, limits, limit=limit) as file,
        io.TextIOWrapper(file, encoding="utf-8-sig", newline=newline) as text,
    ):
        yield text


def read_lines(path: Path, limits: LimitSettings) -> Iterator[str]:
    """The lines of a text file without their ends, LF or CRLF; no other character ends a line."""
    with open_text(path, limits, newline="\n") as file:
        for line in bounded_lines(file, path, limits):
            yield line.removesuffix("\n").removesuffix("\r")
