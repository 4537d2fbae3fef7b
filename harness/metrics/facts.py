"""Which facts of a newsroom event a summary tells, and which it makes up."""

from __future__ import annotations

import functools
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.newsroom import Event, draw_event, write_document, write_summary
from harness.data.newsroom import english as templates
from harness.data.rows import Row
from harness.errors import DataError
from harness.metrics.metric import Metric, Output

ROW_ID = re.compile(r"newsroom-(\d+)-(\d+)")
DATE = rf"\d+ (?:{'|'.join(templates.MONTHS)})"
NUMBER = r"\d+(?:[.,]\d+)*"
WORD = r"\w+(?:[-'\u2019]\w+)*"
CAPITALISED = rf"(?=[A-ZÀ-Þ]){WORD}"


@dataclass(frozen=True)
class Facts(Metric):
    """The facts in a summary of the newsroom, known because the events are: no model judges another.

    A text is read from left to right for *statements*: the names of the event and of its distractors (people, their
    surnames, organisations, places), dates (``7 May``), other numbers, and other runs of capitalised words, from which
    leading words that the newsroom's sentences use themselves (``The``, ``It``, ``Police``) are taken off. What is
    stated twice counts once. A statement is

    - *right* if it is a fact of the event, as the document words it: who (or the surname alone), organisation, place,
      day, amount, or the witness;
    - *invented* if it is a distractor's fact, or stands nowhere in the document;
    - neither if it is a mere piece of the document, as a first name or a month alone.

    ``facts_right`` is the share of the reference's facts (who, where, when and how much) that are stated.
    ``facts_invented`` is the share of invented statements among those right or invented, 0 where there are none; the
    less the better. Both are in percent points.
    """

    lower_is_better = frozenset({"facts_invented"})

    @property
    def signatures(self) -> dict[str, str]:
        """Each score's name and its signature."""
        return {
            name: f"{name}|exact|newsroom:english|rows:mean|version:1" for name in ("facts_right", "facts_invented")
        }

    def applies(self, rows: Sequence[Row]) -> bool:
        """Whether the rows are events of the newsroom with their own summaries as targets."""
        events = [find_event(row) for row in rows]
        return all(
            event is not None and write_summary(event).text == row.target
            for event, row in zip(events, rows, strict=True)
        )

    def score(self, outputs: Sequence[Output], rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """Score each output against its row's event: arrays of shape (rows,), float64, 0 to 100.

        Raises:
            DataError: a row is no event of the newsroom.
        """
        right, invented = [], []
        for output, row in zip(outputs, rows, strict=True):
            event = find_event(row)
            if event is None:
                raise DataError(
                    f'Row "{row.id}" is no event of the newsroom.',
                    why="The facts of other texts are not known.",
                    fix="Score it with another metric, as rouge.",
                )
            found = judge_facts(output.text, event)
            right.append(100 * len(found.told) / len(found.asked))
            invented.append(100 * len(found.invented) / max(len(found.invented | found.right), 1))
        return {"facts_right": np.array(right), "facts_invented": np.array(invented)}


@dataclass(frozen=True, kw_only=True)
class FoundFacts:
    """What a text states of an event.

    Args:
        asked: the facts of the event's own summary.
        right: statements that are facts of the event.
        invented: statements that are a distractor's, or that the document does not have.
    """

    asked: frozenset[str]
    right: frozenset[str]
    invented: frozenset[str]

    @property
    def told(self) -> frozenset[str]:
        """The facts that were asked for and stated."""
        return self.asked & self.right


def find_event(row: Row) -> Event | None:
    """The event that a row's id names."""
    named = ROW_ID.fullmatch(row.id)
    return draw_event(int(named[1]), int(named[2])) if named else None


def judge_facts(text: str, event: Event) -> FoundFacts:
    """Read a text for what it states of the event."""
    document, summary = write_document(event), write_summary(event)
    facts: dict[bool, set[str]] = {True: set(), False: set()}
    for mention in document.mentions:
        words = document.text[mention.start : mention.end]
        # People go by their surname as well.
        facts[not mention.fact.startswith("other_")] |= (
            {words, words.split()[-1]} if mention.entity == "PER" else {words}
        )
    statements = _read_statements(text, facts[True] | facts[False])
    right = statements & facts[True]
    return FoundFacts(
        asked=frozenset(summary.text[mention.start : mention.end] for mention in summary.mentions),
        right=frozenset(right),
        invented=frozenset(
            words for words in statements - right if words in facts[False] or not _stands_in(words, document.text)
        ),
    )


def _read_statements(text: str, known: set[str]) -> set[str]:
    names = "|".join(sorted(map(re.escape, known), key=len, reverse=True))
    run = rf"{CAPITALISED}(?: (?!(?:{names})\b){CAPITALISED})*"
    found = re.findall(rf"\b(?:{DATE}|{NUMBER}|{names}|{run})\b", text)
    return {words if words in known else _drop_plain_words(words) for words in found} - {""}


def _drop_plain_words(words: str) -> str:
    """The words without those at the start that any sentence of the newsroom may start with."""
    listed = words.split(" ")
    while listed and listed[0].lower() in _plain_words():
        listed.pop(0)
    return " ".join(listed)


def _stands_in(words: str, text: str) -> bool:
    return re.search(rf"\b{re.escape(words)}\b", text) is not None


@functools.cache
def _plain_words() -> frozenset[str]:
    """All words of the newsroom's sentences, in lower case, without what is filled in."""
    told = [
        *templates.DATES,
        *templates.DISTRACTIONS,
        *templates.BACKGROUNDS,
        templates.SUMMARY,
        *(sentence for reactions in templates.REACTIONS.values() for sentence in reactions),
    ]
    for wording in templates.WORDINGS.values():
        told += [wording.noun, wording.unit, *wording.leads, *wording.amounts, wording.did, wording.result]
    literals = " ".join(part for sentence in told for part, *_ in string.Formatter().parse(sentence))
    return frozenset(re.findall(WORD, literals.lower()))


FACTS = Facts()
