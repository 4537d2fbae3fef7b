"""Tables: comma- and tab-separated values, with a head or with the columns named by ``data.columns``."""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from harness.config import DataSettings
from harness.data.columns import Record
from harness.data.formats.lines import open_text, read_lines
from harness.data.limits import bounded_lines, refuse
from harness.errors import DataError


def read_csv(path: Path, settings: DataSettings) -> Iterator[Record]:
    """The records of a comma-separated file; cells may be quoted."""
    csv.field_size_limit(min(settings.limits.row_characters, sys.maxsize, 2**31 - 1))
    with open_text(path, settings.limits) as file:
        reader = csv.DictReader(bounded_lines(file, path, settings.limits), settings.columns, strict=True)
        try:
            columns = list(reader.fieldnames or ())
            _require_different(columns, path)
            for record in reader:
                if None in record or None in record.values():
                    raise DataError(
                        f"{path}, line {reader.line_num}: the number of cells is not the number of columns "
                        f"({len(columns)}).",
                        fix="Quote cells that hold commas or line breaks.",
                    )
                yield record
        except csv.Error as error:
            if "field limit" in str(error):
                seen = f"has too many characters in a cell after line {reader.line_num}"
                raise refuse(path, seen, settings.limits, "row_characters") from error
            raise DataError(
                f"{path}, after line {reader.line_num}: {error}.", fix="Mend what follows; look for an open quote."
            ) from error


def read_tsv(path: Path, settings: DataSettings) -> Iterator[Record]:
    """The records of a tab-separated file; a quote is a character like any other, and blank lines are left out."""
    columns: Sequence[str] | None = settings.columns
    for number, line in enumerate(read_lines(path, settings.limits), start=1):
        if not line:
            continue
        cells = line.split("\t")
        if columns is None:
            _require_different(cells, path)
            columns = cells
        elif len(cells) == len(columns):
            yield dict(zip(columns, cells, strict=True))
        else:
            raise DataError(
                f"{path}, line {number} has {len(cells)} cells, but there are {len(columns)} columns: "
                f"{', '.join(columns)}.",
                fix="Separate cells by one tab each, write files whose cells hold tabs or line breaks as CSV, and set "
                "data.columns where the first line does not name the columns.",
            )


def _require_different(columns: Sequence[str], path: Path) -> None:
    if len(set(columns)) < len(columns):
        raise DataError(
            f"{path} names a column twice: {', '.join(columns)}.",
            fix="Give each column its own name; where the first line is a row, name the columns in data.columns.",
        )
