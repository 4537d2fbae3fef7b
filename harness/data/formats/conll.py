"""The column format of the shared tasks of CoNLL: a token a line, its tag last, a blank line after each sentence.

Source: Tjong Kim Sang and De Meulder (2003), "Introduction to the CoNLL-2003 shared task", section 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.config import DataSettings
from harness.data.columns import Record
from harness.data.formats.lines import read_lines
from harness.errors import DataError

DOCUMENT_START = "-DOCSTART-"
"""Stands as the token of a line between two documents."""


def read_conll(path: Path, settings: DataSettings) -> Iterator[Record]:
    """``{"tokens": [...], "tags": [...]}`` for each sentence: its first column and its last.

    Raises:
        DataError: a line has fewer than two columns, or not as many as the first.
    """
    tokens: list[str] = []
    tags: list[str] = []
    width = 0
    for number, line in enumerate(read_lines(path, settings.limits), start=1):
        cells = _split(line)
        if not line.strip() or cells[0] == DOCUMENT_START:
            if tokens:
                yield {"tokens": tokens, "tags": tags}
            tokens, tags = [], []
            continue
        width = width or max(2, len(cells))
        if len(cells) != width or not cells[0].strip() or not cells[-1].strip():
            raise DataError(
                f"{path}, line {number} lacks a column: {line!r:.60}; {width} are expected.",
                why="The first column is read as the token and the last as its tag.",
                fix="Give each token and its tag on one line, separated by a tab or a blank, sentences by blank lines.",
            )
        tokens.append(cells[0])
        tags.append(cells[-1])
    if tokens:
        yield {"tokens": tokens, "tags": tags}


def _split(line: str) -> list[str]:
    """The cells of a line: between tabs if it has any, else between blanks."""
    return line.split("\t") if "\t" in line else [cell for cell in line.split(" ") if cell]
