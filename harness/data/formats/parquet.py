"""Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.config import DataSettings
from harness.data.columns import Record
from harness.data.formats.lines import open_bytes
from harness.errors import DataError


def read_parquet(path: Path, settings: DataSettings) -> Iterator[Record]:
    """The rows of a Parquet file.

    Raises:
        DataError: the file is no Parquet file, or is damaged.
    """
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with open_bytes(path) as content, ParquetFile(content) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except (ArrowException, ValueError, OverflowError) as error:
        raise DataError(f"{path} cannot be read: {error}.", fix="Check how it was written.") from error
