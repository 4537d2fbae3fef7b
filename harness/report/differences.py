"""Word by word: what an output has in common with its reference, and what the tuning gained and lost."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

LONGEST = 1_500
"""Characters of a text that are compared and shown; comparing takes time with the square of the length."""

# Chinese and Japanese put no blanks between words, so each of their characters counts as one.
_PIECES = re.compile(r"\s+|[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W_]+|[\W_]", re.UNICODE)


class Piece(NamedTuple):
    """A stretch of text and how it is marked: "", "extra", "gained" or "lost"."""

    text: str
    mark: str


class Marked(NamedTuple):
    """The three texts of a row, each in pieces that make up the whole text."""

    reference: tuple[Piece, ...]
    base: tuple[Piece, ...]
    tuned: tuple[Piece, ...]


def mark_differences(reference: str, base: str, tuned: str) -> Marked:
    """Mark in both outputs the words that the reference lacks, and in the reference those that one output alone has.

    Words are aligned by `difflib.SequenceMatcher` (Ratcliff and Metzener 1988, "Pattern Matching: The Gestalt
    Approach"), letter case left aside.
    """
    wanted, said, taught = (_split(shorten(text)) for text in (reference, base, tuned))
    in_base, base_marks = _align(wanted, said)
    in_tuned, tuned_marks = _align(wanted, taught)
    found = {(False, True): "gained", (True, False): "lost"}
    reference_marks = [found.get(pair, "") for pair in zip(in_base, in_tuned, strict=True)]
    return Marked(
        reference=_join(wanted, reference_marks), base=_join(said, base_marks), tuned=_join(taught, tuned_marks)
    )


def shorten(text: str) -> str:
    """The text, or its beginning and an ellipsis where it is longer than is shown."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _split(text: str) -> list[str]:
    return _PIECES.findall(text)


def _align(wanted: Sequence[str], said: Sequence[str]) -> tuple[list[bool], list[str]]:
    """For each wanted piece whether it was said, and for each said piece its mark."""
    places = [[place for place, piece in enumerate(pieces) if not piece.isspace()] for pieces in (wanted, said)]
    ours = [wanted[place].casefold() for place in places[0]]
    theirs = [said[place].casefold() for place in places[1]]
    hit, marks = [False] * len(wanted), ["" if piece.isspace() else "extra" for piece in said]
    for block in difflib.SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks():
        for offset in range(block.size):
            hit[places[0][block.a + offset]] = True
            marks[places[1][block.b + offset]] = ""
    return hit, marks


def _join(pieces: Sequence[str], marks: Sequence[str]) -> tuple[Piece, ...]:
    """Neighbours with the same mark become one piece, blanks between them too."""
    marks = list(marks)
    for place in range(1, len(pieces) - 1):
        if pieces[place].isspace() and marks[place - 1] == marks[place + 1]:
            marks[place] = marks[place - 1]
    pairs = zip(pieces, marks, strict=True)
    return tuple(Piece("".join(text for text, _ in group), mark) for mark, group in groupby(pairs, key=lambda p: p[1]))
