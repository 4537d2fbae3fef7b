"""From an event to its facts as a list of named values, for a model that learns to put them into sentences."""

from __future__ import annotations

from harness.data.newsroom.events import Event
from harness.data.newsroom.story import list_fields

RECORD = (
    "topic: {topic}; event: {event}; who: {who}; organisation: {org}; where: {where}; when: {when}; amount: {amount}"
)


def write_record(event: Event) -> str:
    """The event's facts by name, as ``topic: business; event: factory; who: Ada Balberg; ...; amount: 300 jobs``."""
    fields = list_fields(event)
    amount = f"{fields['amount']} {fields['unit']}"
    return RECORD.format_map({**fields, "topic": event.kind.topic, "event": event.kind.key, "amount": amount})
