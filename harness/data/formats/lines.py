"""Files as bytes, as text and as lines, whether packed by gzip or not; what cannot be read is a clear error."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from harness.errors import DataError


def require_content(path: Path) -> None:
    """Make sure that there is a file and something in it.

    Raises:
        DataError: there is none, or it is empty.
    """
    if not path.exists():
        raise DataError(f"There is no file {path}.", fix="Check the paths in [data] of the settings, or --data.")
    if path.is_file() and path.stat().st_size == 0:
        raise DataError(f"{path} is empty.", fix="Check how it was written.")


@contextmanager
def open_bytes(path: Path) -> Iterator[IO[bytes]]:
    """Open a file for reading; one that ends in ``.gz`` is unpacked on the way.

    Raises:
        DataError: it cannot be opened or, while it is open, read.
    """
    try:
        with cast("IO[bytes]", gzip.open(path)) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            yield file
    except UnicodeDecodeError as error:
        raise DataError(f"{path} cannot be read: {error}.", fix="It must be readable UTF-8 text.") from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}.", fix="Check how it was written.") from error


@contextmanager
def open_text(path: Path, *, newline: str = "") -> Iterator[IO[str]]:
    """Open a file of UTF-8 text for reading; a byte order mark is left out.

    Args:
        path: the file.
        newline: what ends a line, as `open` has it; line ends are left as they are.

    Raises:
        DataError: it cannot be opened or, while it is open, read.
    """
    with open_bytes(path) as file, io.TextIOWrapper(file, encoding="utf-8-sig", newline=newline) as text:
        yield text


def read_lines(path: Path) -> Iterator[str]:
    """The lines of a text file without their ends, LF or CRLF; no other character ends a line."""
    with open_text(path, newline="\n") as file:
        for line in file:
            yield line.removesuffix("\n").removesuffix("\r")
