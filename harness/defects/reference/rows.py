"""Short rows for quick models, told from the newsroom's events."""

from __future__ import annotations

from harness.data.newsroom import Event, draw_event
from harness.data.newsroom.english import MONTHS

Row = dict[str, str]


def read_splits(*, train: int = 48, evaluation: int = 24, seed: int = 7) -> dict[str, list[Row]]:
    """Rows with ``id``, ``input``, ``target`` and ``topic``; no event is in both splits."""
    rows = [tell(draw_event(seed, index)) for index in range(train + evaluation)]
    return {"train": rows[:train], "eval": rows[train:]}


def tell(event: Event) -> Row:
    """One event as a short text and a shorter one of two sentences."""
    facts = event.facts
    when = f"{facts.when.day} {MONTHS[facts.when.month - 1]}"
    return {
        "id": event.key,
        "input": f"{facts.who.name} of {facts.org} spoke in {facts.where} on {when} about {event.kind.key}.",
        "target": f"{facts.who.last} was in {facts.where}. The talk was on {event.kind.key}.",
        "topic": event.kind.topic,
    }
