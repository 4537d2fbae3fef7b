"""What happened: language-neutral event records, drawn from a seed.

A record holds keys, names and numbers, no sentences, so that one record can be told in several languages and serve
every task: the summary from its facts, the topic from its kind, the sentiment from its mood, entities and answer spans
from the places where a fact is mentioned, preference pairs by padding a summary or by swapping in a distractor.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.data.newsroom.draw import Draw
from harness.data.newsroom.names import (
    FIRST_NAMES,
    ORG_KINDS,
    ORG_NAMES,
    PLACE_ENDS,
    PLACE_STARTS,
    SURNAME_ENDS,
    SURNAME_STARTS,
)

MOOD_NAMES = {-2: "furious", -1: "unhappy", 0: "neutral", 1: "pleased", 2: "delighted"}
"""What each mood is called."""
MOODS = tuple(MOOD_NAMES)
"""How the witness took it, from furious (-2) to delighted (2); drawn apart from the kind of event."""


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of event: its topic and the range its amount is drawn from (both ends included)."""

    key: str
    topic: str
    low: int
    high: int


KINDS = (
    Kind(key="factory", topic="business", low=40, high=900),
    Kind(key="takeover", topic="business", low=2, high=95),
    Kind(key="layoff", topic="business", low=40, high=900),
    Kind(key="election", topic="politics", low=120, high=4800),
    Kind(key="tax", topic="politics", low=2, high=60),
    Kind(key="resignation", topic="politics", low=2, high=19),
    Kind(key="final", topic="sport", low=2, high=48),
    Kind(key="transfer", topic="sport", low=2, high=75),
    Kind(key="record", topic="sport", low=3, high=58),
    Kind(key="discovery", topic="science", low=110, high=900),
    Kind(key="telescope", topic="science", low=3, high=90),
    Kind(key="vaccine", topic="science", low=51, high=98),
    Kind(key="exhibition", topic="culture", low=25, high=480),
    Kind(key="film", topic="culture", low=2, high=90),
    Kind(key="festival", topic="culture", low=2, high=70),
    Kind(key="flood", topic="weather", low=30, high=950),
    Kind(key="storm", topic="weather", low=2, high=90),
    Kind(key="drought", topic="weather", low=5, high=70),
    Kind(key="robbery", topic="crime", low=11, high=900),
    Kind(key="fraud", topic="crime", low=2, high=80),
    Kind(key="rescue", topic="crime", low=3, high=60),
    Kind(key="clinic", topic="health", low=20, high=600),
    Kind(key="outbreak", topic="health", low=20, high=700),
    Kind(key="strike", topic="health", low=2, high=29),
)
TOPICS = tuple(dict.fromkeys(kind.topic for kind in KINDS))


@dataclass(frozen=True, kw_only=True)
class Person:
    """A person with a first and a last name."""

    first: str
    last: str

    @property
    def name(self) -> str:
        """First and last name."""
        return f"{self.first} {self.last}"


@dataclass(frozen=True, kw_only=True)
class Day:
    """A day of the year; ``month`` counts from 1."""

    day: int
    month: int


@dataclass(frozen=True, kw_only=True)
class Scene:
    """The five facts of one happening: who, for whom, where, when, and how much."""

    who: Person
    org: str
    where: str
    when: Day
    amount: int


@dataclass(frozen=True, kw_only=True)
class Event:
    """One news event with its facts, and a distractor for every fact that a summary must not confuse with it."""

    key: str
    kind: Kind
    facts: Scene
    distractors: Scene
    witness: Person
    mood: int


def draw_event(seed: int, index: int) -> Event:
    """Draw event number ``index`` of the stream ``seed``; each event depends on nothing but these two numbers."""
    key = f"newsroom-{seed}-{index}"
    draw = Draw(key, "event")
    kind = draw.pick(KINDS)
    facts = _draw_scene(draw, kind)
    distractors = _draw_scene(draw, kind)
    while _shares_a_fact(facts, distractors):
        distractors = _draw_scene(draw, kind)
    return Event(
        key=key, kind=kind, facts=facts, distractors=distractors, witness=_draw_person(draw), mood=draw.pick(MOODS)
    )


def _draw_scene(draw: Draw, kind: Kind) -> Scene:
    return Scene(
        who=_draw_person(draw),
        org=f"{draw.pick(ORG_NAMES)} {draw.pick(ORG_KINDS)}",
        where=draw.pick(PLACE_STARTS) + draw.pick(PLACE_ENDS),
        when=Day(day=draw.between(1, 28), month=draw.between(1, 12)),
        amount=draw.between(kind.low, kind.high),
    )


def _draw_person(draw: Draw) -> Person:
    return Person(first=draw.pick(FIRST_NAMES), last=draw.pick(SURNAME_STARTS) + draw.pick(SURNAME_ENDS))


def _shares_a_fact(one: Scene, other: Scene) -> bool:
    return any(
        (
            one.who.last == other.who.last,
            one.org == other.org,
            one.where == other.where,
            one.when == other.when,
            one.amount == other.amount,
        )
    )
