"""Rows from files: CSV, JSON lines, Parquet, folders of these, and folders that ``datasets`` saved."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from harness.config import DataSettings
from harness.data.columns import Reader, Record, to_rows
from harness.data.rows import Row
from harness.errors import DataError


def read_path(path: Path, settings: DataSettings, reader: Reader, *, split: str) -> Iterator[Row]:
    """Read all rows of a file or folder.

    Args:
        path: the file or folder.
        settings: may say which columns to read.
        reader: makes the row of a record.
        split: which split of a saved ``DatasetDict`` to read.

    Raises:
        DataError: the path is missing, empty, damaged or of an unknown format.
        ColumnError: a column is not there.
    """
    if is_saved_dataset(path):
        yield from to_rows(_read_saved(path, split), settings, reader, where=str(path))
    elif path.is_dir():
        files = [file for file in sorted(path.glob("[!.]*")) if file.suffix.lower() in READERS and file.is_file()]
        if not files:
            raise DataError(f"The folder {path} holds no data file.", fix=f"Formats: {', '.join(READERS)}.")
        several = len(files) > 1
        for file in files:
            yield from _read_file(file, settings, reader, prefix=f"{file.name}-" if several else "")
    elif path.exists():
        yield from _read_file(path, settings, reader, prefix="")
    else:
        raise DataError(f"There is no file {path}.", fix="Check data.source, or --data.")


def is_saved_dataset(path: Path) -> bool:
    """Whether ``datasets`` saved this folder."""
    return (path / "dataset_info.json").is_file() or (path / "dataset_dict.json").is_file()


def _read_file(path: Path, settings: DataSettings, reader: Reader, *, prefix: str) -> Iterator[Row]:
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(f'{path} has the unknown format "{path.suffix}".', fix=f"Formats: {', '.join(READERS)}.")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty.", fix="Check how it was written.")
    try:
        yield from to_rows(read(path), settings, reader, where=str(path), prefix=prefix)
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}.", fix="It must be readable UTF-8 text.") from error


def _read_csv(path: Path) -> Iterator[Record]:
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        columns = list(reader.fieldnames or ())
        if len(set(columns)) < len(columns):
            raise DataError(f"{path} names a column twice: {', '.join(columns)}.", fix="Give each column its own name.")
        try:
            for record in reader:
                if None in record or None in record.values():
                    raise DataError(
                        f"{path}, line {reader.line_num}: the number of cells is not the number of columns "
                        f"({len(columns)}).",
                        fix="Quote cells that hold commas or line breaks.",
                    )
                yield record
        except csv.Error as error:
            raise DataError(
                f"{path}, after line {reader.line_num}: {error}.", fix="Mend what follows; look for an open quote."
            ) from error


def _read_json_lines(path: Path) -> Iterator[Record]:
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise DataError(
                    f"{path}, line {number} is not JSON: {error}.", fix="One JSON object a line is expected."
                ) from error
            if not isinstance(record, Mapping):
                raise DataError(f"{path}, line {number} is no JSON object.", fix="One JSON object a line is expected.")
            yield record


def _read_parquet(path: Path) -> Iterator[Record]:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(path) as file:
            for batch in file.iter_batches():
                yield from batch.to_pylist()
    except (ArrowException, ValueError, OverflowError) as error:
        raise DataError(f"{path} cannot be read: {error}.", fix="Check how it was written.") from error


def _read_saved(path: Path, split: str) -> Iterator[Record]:
    import datasets

    try:
        saved = datasets.load_from_disk(str(path))
    except Exception as error:
        raise DataError(f"The data set in {path} cannot be read: {error}.", fix="Save it anew.") from error
    if isinstance(saved, datasets.DatasetDict):
        if split not in saved:
            raise DataError(f'{path} has no split "{split}".', fix=f"Set data.split to one of: {', '.join(saved)}.")
        saved = saved[split]
    try:
        yield from saved
    except Exception as error:
        raise DataError(f"The data set in {path} is damaged: {error}.", fix="Save it anew.") from error


READERS: dict[str, Callable[[Path], Iterator[Record]]] = {
    ".csv": _read_csv,
    ".jsonl": _read_json_lines,
    ".ndjson": _read_json_lines,
    ".parquet": _read_parquet,
}
"""File ending to reader."""
