"""From an event to its document and its summaries, with the place of every fact in the text."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.data.newsroom import german
from harness.data.newsroom.draw import Draw
from harness.data.newsroom.english import BACKGROUNDS, DATES, DISTRACTIONS, MONTHS, REACTIONS, SUMMARY, WORDINGS
from harness.data.newsroom.events import Day, Event, Scene

Language = Literal["en", "de"]
"""The languages in which a summary can be told."""

ENTITY_TYPES = {
    "who": "PER",
    "surname": "PER",
    "witness": "PER",
    "org": "ORG",
    "where": "LOC",
    "when": "DATE",
    "amount": "NUM",
}
"""The entity type of each fact that a text can mention."""


@dataclass(frozen=True, kw_only=True)
class Mention:
    """Where a text names a fact: ``text[start:end]``, in characters; ``other_`` marks a distractor's fact."""

    fact: str
    start: int
    end: int

    @property
    def entity(self) -> str:
        """The entity type: PER, ORG, LOC, DATE or NUM."""
        return ENTITY_TYPES[self.fact.removeprefix("other_")]


@dataclass(frozen=True, kw_only=True)
class Story:
    """A text and the facts that it mentions, in order of their place."""

    text: str
    mentions: tuple[Mention, ...]


def write_document(event: Event) -> Story:
    """Tell the event as a news item of 8 to 10 sentences whose facts stand scattered among distractors."""
    draw = Draw(event.key, "document")
    wording = WORDINGS[event.kind.key]
    body = draw.shuffled(
        [
            draw.pick(DATES),
            draw.pick(wording.amounts),
            draw.pick(REACTIONS[event.mood]),
            *draw.shuffled(DISTRACTIONS)[: draw.between(3, 4)],
            *draw.shuffled(BACKGROUNDS)[: draw.between(1, 2)],
        ]
    )
    opening = [draw.pick(BACKGROUNDS)] if draw.chance(0.25) else []
    opening = [sentence for sentence in opening if sentence not in body]
    return fill_template(" ".join([*opening, draw.pick(wording.leads), *body]), list_fields(event))


def write_summary(event: Event, language: Language = "en") -> Story:
    """Sum the event up in two sentences: who did what, where and when; and how much."""
    if language == "de":
        return fill_template(
            german.SUMMARIES[event.kind.key], {**list_fields(event), "when": _say_german(event.facts.when)}
        )
    wording = WORDINGS[event.kind.key]
    template = SUMMARY.replace("{did}", wording.did).replace("{result}", wording.result)
    return fill_template(template, list_fields(event))


def list_fields(event: Event) -> dict[str, str]:
    """The English words for each field of a template, by the field's name."""
    wording = WORDINGS[event.kind.key]
    distractors = {f"other_{fact}": words for fact, words in _list_facts(event.distractors).items()}
    return {
        **_list_facts(event.facts),
        **distractors,
        "witness": event.witness.name,
        "noun": wording.noun,
        "unit": wording.unit,
    }


def fill_template(template: str, fields: Mapping[str, str]) -> Story:
    """Fill a template and note where each fact came to stand."""
    text = ""
    mentions = []
    for literal, field, _, _ in string.Formatter().parse(template):
        text += literal
        if field is None:
            continue
        start = len(text)
        text += fields[field]
        if field.removeprefix("other_") in ENTITY_TYPES:
            mentions.append(Mention(fact=field, start=start, end=len(text)))
    return Story(text=text, mentions=tuple(mentions))


def _list_facts(scene: Scene) -> dict[str, str]:
    return {
        "who": scene.who.name,
        "surname": scene.who.last,
        "org": scene.org,
        "where": scene.where,
        "when": f"{scene.when.day} {MONTHS[scene.when.month - 1]}",
        "amount": str(scene.amount),
    }


def _say_german(day: Day) -> str:
    return f"{day.day}. {german.MONTHS[day.month - 1]}"
