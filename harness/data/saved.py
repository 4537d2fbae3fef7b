"""Folders that ``datasets`` saved."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.data.columns import Record
from harness.data.named_classes import name_classes
from harness.errors import DataError
from harness.places import is_own_file

INFO_FILE, STATE_FILE, SPLITS_FILE = "dataset_info.json", "state.json", "dataset_dict.json"


def is_saved_dataset(path: Path) -> bool:
    """Whether ``datasets`` saved this folder."""
    return (path / INFO_FILE).is_file() or (path / SPLITS_FILE).is_file()


def read_saved(path: Path, split: str) -> Iterator[Record]:
    """The records of a saved ``Dataset``, or of one split of a saved ``DatasetDict``.

    Raises:
        DataError: it is damaged, names files elsewhere, or has no such split.
    """
    import datasets

    _require_own_files(path)
    try:
        saved = datasets.load_from_disk(str(path))
    except Exception as error:
        raise DataError(f"The data set in {path} cannot be read: {error}.", fix="Save it anew.") from error
    if isinstance(saved, datasets.DatasetDict):
        if split not in saved:
            raise DataError(f'{path} has no split "{split}".', fix=f"Set data.split to one of: {', '.join(saved)}.")
        saved = saved[split]
    try:
        yield from name_classes(saved)
    except Exception as error:
        raise DataError(f"The data set in {path} is damaged: {error}.", fix="Save it anew.") from error


def _require_own_files(path: Path) -> None:
    """Notes beside the rows name the folders of splits and the files of rows: none that lies elsewhere."""
    splits = _read_list(path / SPLITS_FILE, "splits")
    _require_plain(path / SPLITS_FILE, splits)
    for folder in (path, *(path / split for split in splits)):
        entries = _read_list(folder / STATE_FILE, "_data_files")
        _require_plain(
            folder / STATE_FILE, [entry.get("filename") if isinstance(entry, dict) else entry for entry in entries]
        )


def _require_plain(notes: Path, names: list[Any]) -> None:
    for name in names:
        if not is_own_file(name):
            raise DataError(
                f"{notes} names {name!r:.200}.",
                why="What a folder of rows holds are its own files; it leads to no others.",
                fix="Save the data set anew.",
            )


def _read_list(notes: Path, key: str) -> list[Any]:
    """A list of a JSON file; empty where there is none: loading says what is wrong."""
    try:
        found = json.loads(notes.read_text(encoding="utf-8"))[key]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return []
    return found if isinstance(found, list) else []
