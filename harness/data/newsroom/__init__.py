"""The newsroom: a generated news corpus whose facts are known, any number of rows, the same on every platform."""

from harness.data.newsroom.events import KINDS, MOODS, TOPICS, Day, Event, Kind, Person, Scene, draw_event
from harness.data.newsroom.story import ENTITY_TYPES, Mention, Story, write_document, write_summary

__all__ = [
    "ENTITY_TYPES",
    "KINDS",
    "MOODS",
    "TOPICS",
    "Day",
    "Event",
    "Kind",
    "Mention",
    "Person",
    "Scene",
    "Story",
    "draw_event",
    "write_document",
    "write_summary",
]
