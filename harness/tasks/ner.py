"""Named entity recognition: which words name a person, an organisation, a place and so on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from harness.data.bio import OUTSIDE, TAG, find_break, name_scheme
from harness.data.columns import Cells
from harness.data.newsroom import Event, tag_words, write_document
from harness.data.rows import Row
from harness.errors import DataError
from harness.tasks.task import Task

CONVERSIONS = {
    "IOB1": "B- where an entity begins: at each I- behind O, behind another type, or at the start of a row",
    "IOBES": "S- as B-, and E- as I-",
    "BILOU": "U- as B-, and L- as I-",
    "BMES": "S- as B-, and M- and E- as I-",
}
"""How tags of another scheme are written in IOB2."""


class EntityRecognition(Task):
    """Words and their tags of scheme IOB2: ``B-x`` begins an entity of type x, ``I-x`` goes on, ``O`` is outside.

    A row's input is the words joined by blanks, its target the tags, one a word. Files give both as lists, or as texts
    that are split at blanks.
    """

    name = "ner"
    metrics = ("entities",)
    headline = "entity_f1"
    forms: ClassVar = {"encoder": "token-head"}
    input_columns = ("tokens", "words")
    target_columns = ("tags", "ner_tags", "labels")

    def read(self, cells: Cells) -> Row:
        """The row of a record."""
        words, tags = (_read_list(cells, cells.column(role)) for role in ("input", "target"))
        if len(words) != len(tags):
            raise cells.error(
                f"{len(words)} words have {len(tags)} tags.",
                why="Each word has one tag.",
                fix="Mend the row; look for a word that holds a blank or is missing.",
            )
        _require_legal(cells, words, tags)
        return Row(id=cells.id, input=" ".join(words), target=" ".join(tags))

    def write(self, row: Row) -> dict[str, Any]:
        """The record that `read` makes this row of: words and tags as lists."""
        return {"id": row.id, "tokens": row.input.split(), "tags": row.target.split()}

    def tell(self, event: Event) -> Row:
        """A news item in which persons, organisations, places, days and numbers are tagged."""
        words, tags = tag_words(write_document(event))
        return Row(id=event.key, input=" ".join(words), target=" ".join(tags))

    def name_labels(self, rows: Sequence[Row]) -> tuple[str, ...]:
        """``O``, and for each type of the rows ``B-`` and ``I-``, whether both occur or not.

        Raises:
            DataError: no word has a tag but ``O``.
        """
        kinds = sorted({tag[2:] for row in rows for tag in row.target.split() if tag != OUTSIDE})
        if not kinds:
            raise DataError(
                f"No word of the {len(rows)} training rows has a tag but O.",
                why="There is nothing to learn: O everywhere would be right.",
                fix="Give rows that name entities; check data.target_columns.",
            )
        return (OUTSIDE, *(f"{letter}-{kind}" for kind in kinds for letter in "BI"))


def _read_list(cells: Cells, column: str) -> tuple[str, ...]:
    """The words or tags of a cell; at least one, none with white space inside."""
    value = cells.record[column]
    values = value.split() if isinstance(value, str) else value
    if isinstance(values, list) and any(isinstance(entry, int) for entry in values):
        raise cells.error(
            f'column "{column}" holds numbers: {values!r:.60}.',
            why="Which tag a number means is not in the rows, and a wrong guess would train the wrong tags.",
            fix="Write the tags by name, as B-PER; datasets has the names in features[column].feature.names.",
        )
    texts = cells.texts(column)
    if isinstance(value, str):
        return tuple(value.split())
    odd = next((place for place, text in enumerate(value) if text is None or text.split() != [text]), None)
    if odd is not None:
        raise cells.error(
            f'column "{column}" holds {value[odd]!r:.60} in place {odd + 1}.',
            why="Words and tags are counted at blanks: none may be empty or hold white space.",
            fix="Drop it together with its tag, or split it into words with a tag each.",
        )
    return texts


def _require_legal(cells: Cells, words: Sequence[str], tags: Sequence[str]) -> None:
    """Make sure that tags are of scheme IOB2.

    Raises:
        DataError: they are not; the message says of which they are, and how to write them anew.
    """
    scheme = name_scheme(tags)
    if scheme == "IOB2":
        return
    wrong = next((place for place, tag in enumerate(tags) if not TAG.fullmatch(tag)), find_break(tags) or 0)
    before = f" behind {tags[wrong - 1]}" if wrong else " at the start"
    shown = f'the tag of word {wrong + 1} ("{words[wrong]:.40}") is {tags[wrong]}{before}'
    if scheme is None:
        raise cells.error(
            f"{shown}; in scheme IOB2 tags are O, B-TYPE and I-TYPE, and I-TYPE goes on with B-TYPE or I-TYPE.",
            why="It names no entity, and could never be found.",
            fix="Mend the tags.",
        )
    raise cells.error(
        f"{shown}: the tags are of scheme {scheme}, not IOB2.",
        why="An entity would begin where IOB2 knows none.",
        fix=f"Write {CONVERSIONS[scheme]}.",
    )


NER = EntityRecognition()
