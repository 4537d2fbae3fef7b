"""Plain text: a record a line; and parallel text, where line n of two files belong together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.config import DataSettings, LimitSettings
from harness.data.columns import Record
from harness.data.formats.lines import read_lines
from harness.errors import DataError


def read_text(path: Path, settings: DataSettings) -> Iterator[Record]:
    """``{"text": line}`` for each line that is not blank."""
    return ({"text": line} for line in read_lines(path, settings.limits) if line.strip())


def read_parallel(path: Path, targets: Path, limits: LimitSettings) -> Iterator[Record]:
    """``{"input": line, "target": line}`` for each line of two files that belong together, blank lines and all.

    Raises:
        DataError: the files have different numbers of lines.
    """
    counts = [sum(1 for _ in read_lines(file, limits)) for file in (path, targets)]
    if counts[0] != counts[1]:
        raise DataError(
            f"{path} has {counts[0]} lines, but {targets} has {counts[1]}.",
            why="Line n of the one is paired with line n of the other, so from some line on every pair would be wrong.",
            fix="Give two files of one corpus, cut at the same line, blank lines kept.",
        )
    for line, target in zip(read_lines(path, limits), read_lines(targets, limits), strict=True):
        yield {"input": line, "target": target}
