"""The file formats: each reader takes a file and gives its records, mappings from column to value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from harness.config import DataSettings
from harness.data.columns import Record
from harness.data.formats.conll import read_conll
from harness.data.formats.json_document import read_json
from harness.data.formats.json_lines import read_json_lines
from harness.data.formats.parquet import read_parquet
from harness.data.formats.story import read_story
from harness.data.formats.tables import read_csv, read_tsv
from harness.data.formats.text import read_text
from harness.registry import unknown_name

FORMATS: dict[str, Callable[[Path, DataSettings], Iterator[Record]]] = {
    "conll": read_conll,
    "csv": read_csv,
    "json": read_json,
    "jsonl": read_json_lines,
    "parquet": read_parquet,
    "story": read_story,
    "tsv": read_tsv,
    "txt": read_text,
}
"""Format to reader."""

ENDINGS = {
    **{f".{name}": name for name in FORMATS},
    ".annotated": "conll",
    ".bio": "conll",
    ".ndjson": "jsonl",
}
"""File ending to format; ``.gz`` may follow each."""


def find_ending(path: Path) -> str:
    """The ending that tells the format: the last one in lower case, ``.gz`` left out."""
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix


def find_format(path: Path, settings: DataSettings) -> str | None:
    """The format of a file: the one that the settings name, else the one that its ending tells, else none.

    Raises:
        NameUnknownError: the settings name a format that there is not.
    """
    if settings.format is not None:
        if settings.format not in FORMATS:
            raise unknown_name("format", settings.format, FORMATS)
        return settings.format
    found = ENDINGS.get(find_ending(path))
    # A text file whose columns are named is a table.
    return "tsv" if found == "txt" and settings.columns is not None else found
