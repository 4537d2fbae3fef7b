"""Rows from files of every format, folders of them, parallel text, and folders that ``datasets`` saved."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from harness.config import DataSettings
from harness.data.columns import Reader, Record, to_rows
from harness.data.formats import ENDINGS, FORMATS, find_ending, find_format
from harness.data.formats.lines import require_content
from harness.data.formats.text import read_parallel
from harness.data.rows import Row
from harness.data.saved import is_saved_dataset, read_saved
from harness.errors import DataError

PICKLES = {".bin", ".joblib", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth"}
"""Endings of files that are pickles, or may hold some."""
NOTES = {"json", "txt"}
"""Formats that may only describe the data beside them, as ``README.txt`` does."""


def read_path(path: Path, settings: DataSettings, reader: Reader, *, split: str) -> Iterator[Row]:
    """Read all rows of a file or folder.

    Args:
        path: the file or folder.
        settings: may name the format and the columns.
        reader: makes the rows.
        split: which split of a saved ``DatasetDict`` to read.

    Raises:
        DataError: the path is missing, empty, damaged or of an unknown format.
        ColumnError: a column is not there.
        NameUnknownError: the settings name a format that there is not.
    """
    targets = _find_targets(path, settings)
    if targets is not None:
        yield from to_rows(_read_pairs(path, targets, settings), settings, reader, where=str(path))
    elif is_saved_dataset(path):
        yield from to_rows(read_saved(path, split), settings, reader, where=str(path))
    else:
        files = _list_files(path, settings) if path.is_dir() else [path]
        for file in files:
            prefix = f"{file.name}-" if len(files) > 1 else ""
            yield from to_rows(read_records(file, settings), settings, reader, where=str(file), prefix=prefix)


def read_records(path: Path, settings: DataSettings) -> Iterator[Record]:
    """The records of one file, as its format has them.

    Raises:
        DataError: the file is missing, empty, damaged or of an unknown format.
        NameUnknownError: the settings name a format that there is not.
    """
    require_content(path)
    form = find_format(path, settings)
    if form is None and find_ending(path) in PICKLES:
        raise DataError(
            f"{path} is a pickle.",
            why="To unpack one can run what stands in it; no setting allows it.",
            fix="Write the rows as JSON lines, CSV or Parquet in a program of your own that trusts the file.",
        )
    if form is None:
        raise DataError(
            f'{path} has the unknown format "{find_ending(path)}".',
            fix=f"Set data.format to one of: {', '.join(FORMATS)}. For parallel text, name the file of the targets in "
            "data.target_source or data.eval_target_source.",
        )
    yield from FORMATS[form](path, settings)


def _find_targets(path: Path, settings: DataSettings) -> Path | None:
    """The file that holds the targets of the lines of ``path``, if the settings name one."""
    for source, targets in (
        (settings.source, settings.target_source),
        (settings.eval_source, settings.eval_target_source),
    ):
        if source is not None and targets is not None and path == _expand(source):
            return _expand(targets)
    return None


def _expand(source: str) -> Path:
    return Path(os.path.expanduser(source))  # noqa: PTH111 - Path.expanduser fails for unknown users


def _read_pairs(path: Path, targets: Path, settings: DataSettings) -> Iterator[Record]:
    for file in (path, targets):
        require_content(file)
        form = "folder" if file.is_dir() else find_format(file, settings)
        if form not in {None, "txt"}:
            raise DataError(
                f"{file} is no plain text but {form}; parallel text has one text a line.",
                fix='Leave out data.target_source, or set data.format = "txt".',
            )
    yield from read_parallel(path, targets, settings.limits)


def _list_files(folder: Path, settings: DataSettings) -> list[Path]:
    """The data files of a folder, by name: all that may be of the format asked for, else all of a known format."""
    files = [file for file in sorted(folder.glob("[!.]*")) if file.is_file()]
    known = {file: ENDINGS.get(find_ending(file)) for file in files}
    if settings.format is not None:
        chosen = [file for file in files if known[file] in {settings.format, None}]
    else:
        chosen = [file for file in files if known[file] not in {None, *NOTES}]
        chosen = chosen or [file for file in files if known[file] is not None]
    if not chosen:
        raise DataError(
            f"The folder {folder} holds no data file.", fix=f"Formats: {', '.join(FORMATS)}; see data.format."
        )
    return chosen
