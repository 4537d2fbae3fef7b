"""Rows from a hub data set, by name and revision."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import constants

from harness.config import DataSettings
from harness.data.columns import Reader, to_rows
from harness.data.named_classes import name_classes
from harness.data.rows import Row
from harness.errors import DataError, first_line
from harness.hub import require_hub, why_no_hub


def is_cached(name: str) -> bool:
    """Whether the data set was loaded on this machine before, so that it can be had without a network."""
    prepared = Path(os.environ.get("HF_DATASETS_CACHE", Path(constants.HF_HOME) / "datasets"))
    return (prepared / name.replace("/", "___")).is_dir()


@contextmanager
def _left_alone(config: Any) -> Iterator[None]:
    """Keep ``datasets`` from asking a hub that does not answer; it would retry for half a minute."""
    before = config.HF_HUB_OFFLINE
    config.HF_HUB_OFFLINE = before or why_no_hub() is not None
    try:
        yield
    finally:
        config.HF_HUB_OFFLINE = before


def read_hub(name: str, settings: DataSettings, reader: Reader, *, split: str) -> Iterator[Row]:
    """Read all rows of one split of a hub data set.

    Raises:
        HubError: the hub cannot be reached.
        DataError: the hub has no such data set or split.
    """
    if not is_cached(name):
        require_hub(name, what="data set", setting="data.source")
    import datasets

    try:
        with _left_alone(datasets.config):
            builder = datasets.load_dataset_builder(name, revision=settings.revision)
            require_own_files(builder, name)
            builder.download_and_prepare()
            records = builder.as_dataset(split)
    except DataError:
        raise
    except Exception as error:
        if "don't belong to" in str(error):
            raise _strangers(name) from error
        if "scripts are no longer supported" in str(error):
            raise DataError(
                f'The data set "{name}" is made by a script of its own.',
                why="It would run here, and could do all that you can do; no setting allows it.",
                fix="Set data.revision to a branch that holds Parquet, as refs/convert/parquet, or give a local path.",
            ) from error
        raise DataError(
            f'Split "{split}" of the data set "{name}" ({settings.revision or "newest"}) cannot be loaded: '
            f"{type(error).__name__}: {first_line(error)}.",
            fix="Check the name, data.split and data.revision, or give a local path; for a private one, hf auth login.",
        ) from error
    yield from to_rows(name_classes(records), settings, reader, where=name)


def require_own_files(builder: Any, name: str) -> None:
    """Make sure that a data set is made of its own files, before a row is read: its card may name others.

    datasets 5 does so itself; version 4 reads them.

    Raises:
        DataError: it names a file of this machine or of somebody else.
    """
    # What comes from the cache names no files any more.
    named = builder.config.data_files or {}
    if find_strangers([str(file) for files in named.values() for file in files], name):
        raise _strangers(name)


def _strangers(name: str) -> DataError:
    return DataError(
        f'The data set "{name}" names files that are not its own.',
        why="A stranger would decide which files of this machine, or of its network, are read as rows.",
        fix="Look at data_files in its README.md; if you want these rows, name the file itself in data.source.",
    )


def find_strangers(files: Sequence[str], name: str) -> list[str]:
    """Which files are not a data set's own.

    Args:
        files: paths or URLs, those inside an archive as ``zip://INSIDE::ARCHIVE``.
        name: the data set's.
    """

    def is_own(file: str) -> bool:
        place = file.rpartition("::")[2]
        return place.startswith(f"hf://datasets/{name}@") and ".." not in place.split("/")

    return [file for file in files if not is_own(file)]
