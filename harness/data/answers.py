"""The answers of a question in a record: in which shapes they come, and where they stand in the passage."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from harness.data.columns import Cells, EmptyCell
from harness.data.rows import Span

START_COLUMN = "answer_start"
"""Where a record with a plain answer says at which character it begins."""
SHAPES = (
    'Give a text, a list of texts, or SQuAD\'s {"text": [...], "answer_start": [...]}; an empty list for no answer.'
)


def read_answers(cells: Cells, context: str) -> tuple[Span, ...]:
    """Every place of the passage that answers the question, each once, in the order given; none if nothing does.

    Answers come as SQuAD's mapping of lists (also as JSON text, for CSV files), as a list of such mappings, as a list
    of texts, or as a text; for the latter two the column ``answer_start`` may say where they begin. An answer without
    a place stands for all its occurrences, whole words before parts of words.

    Raises:
        EmptyCell: the cell is missing; to say that there is no answer, it must be an empty list or text.
        DataError: the cell holds something else, or an answer does not stand where it should.
    """
    found: dict[Span, None] = {}
    for text, start in _list_answers(cells):
        bare = text.strip()
        if not bare:
            continue
        if start is None:
            found.update(dict.fromkeys(_search(cells, context, bare)))
        else:
            _require_at(cells, context, text, start)
            begin = start + text.index(bare)
            found[begin, begin + len(bare)] = None
    return tuple(found)


def find_occurrences(text: str, wanted: str) -> tuple[Span, ...]:
    """Where a text stands as whole words; if nowhere, where it stands as a part of words."""
    literal = re.escape(wanted)
    words = tuple(match.span() for match in re.finditer(rf"(?<!\w){literal}(?!\w)", text))
    return words or tuple(match.span() for match in re.finditer(literal, text))


def _list_answers(cells: Cells) -> Iterator[tuple[str, int | None]]:
    """Each answer's text and, where it is known, the character at which it begins."""
    column = cells.column("target")
    value = _parse(cells.record[column])
    if value is None:
        raise EmptyCell(column)
    if isinstance(value, list) and value and all(isinstance(answer, Mapping) for answer in value):
        value = {name: [answer.get(name) for answer in value] for name in ("text", START_COLUMN)}
    if isinstance(value, Mapping):
        texts, starts = value.get("text"), value.get(START_COLUMN)
    else:
        texts, starts = value, _parse(cells.record.get(START_COLUMN))
    texts = texts if isinstance(texts, list) else [texts]
    if not all(isinstance(text, str) for text in texts):
        raise cells.error(f'column "{column}" holds no answers: {value!r:.80}.', fix=SHAPES)
    starts = starts if isinstance(starts, list) else [starts]
    if starts in ([None], [""]):
        starts = [None] * len(texts)
    if len(starts) != len(texts):
        raise cells.error(
            f"there are {len(texts)} answers and {len(starts)} places of answers.",
            fix=f"Give one {START_COLUMN} for each answer.",
        )
    for text, start in zip(texts, starts, strict=True):
        yield text, _read_start(cells, start)


def _parse(value: Any) -> Any:
    """The list or mapping that a text holds as JSON; anything else as it is."""
    if not (isinstance(value, str) and value.lstrip()[:1] in {"{", "["}):
        return value
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return parsed if isinstance(parsed, list | dict) else value


def _read_start(cells: Cells, start: Any) -> int | None:
    if start is None or (isinstance(start, int) and not isinstance(start, bool)):
        return start
    if isinstance(start, str) and start.strip().isdecimal():
        return int(start)
    raise cells.error(f"{START_COLUMN} holds no whole number but {start!r:.40}.", fix="Count characters from 0.")


def _require_at(cells: Cells, context: str, text: str, start: int) -> None:
    there = context[start : start + len(text)] if start >= 0 else ""
    if there == text:
        return
    at = [begin for begin, _ in find_occurrences(context, text)]
    raise cells.error(
        f"the answer {text!r:.60} should begin at character {start} of the passage, which has {len(context)}; "
        f"{f'{there!r:.60} stands there' if there else 'that is outside the text'}.",
        why="The model would learn to point at other words.",
        fix=f"It begins at {', '.join(map(str, at[:3]))}; count characters, not bytes or words."
        if at
        else "It stands nowhere in the passage: an answer is copied from it letter by letter.",
    )


def _search(cells: Cells, context: str, text: str) -> tuple[Span, ...]:
    found = find_occurrences(context, text)
    if not found:
        raise cells.error(
            f"the answer {text!r:.60} stands nowhere in the passage.",
            why="Answers are spans of the passage; nothing else can be learned or scored.",
            fix="Copy the answer from the passage letter by letter, or give an empty list if there is none.",
        )
    return found
