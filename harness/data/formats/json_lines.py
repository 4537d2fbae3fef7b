"""JSON lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.config import DataSettings
from harness.data.columns import Record
from harness.data.formats.lines import read_lines
from harness.errors import DataError


def read_json_lines(path: Path, settings: DataSettings) -> Iterator[Record]:
    """The object of each line that is not blank.

    Raises:
        DataError: a line holds something else.
    """
    for number, line in enumerate(read_lines(path, settings.limits), start=1):
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
