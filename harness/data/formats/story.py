"""The story files of CNN/DailyMail: an article, then its highlights, each after a line ``@highlight``.

Source: Hermann et al. (2015), "Teaching machines to read and comprehend", section 2.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from harness.config import DataSettings
from harness.data.columns import Record
from harness.data.formats.lines import read_lines
from harness.errors import DataError

MARK = "@highlight"


def read_story(path: Path, settings: DataSettings) -> Iterator[Record]:
    """One record: the file's stem as ``id``, ``article``, and ``highlights``, one a line.

    Raises:
        DataError: the file has no highlight.
    """
    blocks: list[list[str]] = [[]]
    for line in read_lines(path, settings.limits):
        if line.strip() == MARK:
            blocks.append([])
        else:
            blocks[-1].append(line)
    article, *highlights = ("\n".join(block).strip() for block in blocks)
    highlights = [" ".join(text.split("\n")) for text in highlights if text]
    if not highlights:
        raise DataError(
            f'{path} has no highlight: none of its {len(blocks[0])} lines is "{MARK}" with text after it.',
            fix="Check that it is a story file of CNN/DailyMail, or name its format in data.format.",
        )
    yield {"id": Path(path.name.removesuffix(".gz")).stem, "article": article, "highlights": "\n".join(highlights)}
