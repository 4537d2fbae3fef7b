"""Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.config import DataSettings
from harness.data.columns import Record
from harness.data.formats.lines import open_bytes
from harness.data.limits import refuse
from harness.errors import DataError

BATCH = 16
"""Rows that are unpacked at once: a text that stands once in the file may be that of every row, and each has a copy."""


def read_parquet(path: Path, settings: DataSettings) -> Iterator[Record]:
    """The rows of a Parquet file.

    Raises:
        DataError: the file is no Parquet file, or is damaged.
    """
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with open_bytes(path, settings.limits) as content, ParquetFile(content) as file:
            groups = (file.metadata.row_group(number) for number in range(file.num_row_groups))
            if sum(group.total_byte_size for group in groups) > settings.limits.file_bytes:
                raise refuse(path, "has too many bytes", settings.limits, "file_bytes")
            for batch in file.iter_batches(BATCH):
                yield from batch.to_pylist()
    except (ArrowException, ValueError, OverflowError) as error:
        raise DataError(f"{path} cannot be read: {error}.", fix="Check how it was written.") from error
