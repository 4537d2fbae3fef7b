"""The newsroom: a generated news corpus whose facts are known, any number of rows, the same on every platform."""

from harness.data.newsroom.comments import write_comment
from harness.data.newsroom.events import KINDS, MOOD_NAMES, MOODS, TOPICS, Day, Event, Kind, Person, Scene, draw_event
from harness.data.newsroom.questions import Question, write_question
from harness.data.newsroom.records import write_record
from harness.data.newsroom.story import ENTITY_TYPES, Language, Mention, Story, write_document, write_summary
from harness.data.newsroom.tags import tag_words

__all__ = [
    "ENTITY_TYPES",
    "KINDS",
    "MOODS",
    "MOOD_NAMES",
    "TOPICS",
    "Day",
    "Event",
    "Kind",
    "Language",
    "Mention",
    "Person",
    "Question",
    "Scene",
    "Story",
    "draw_event",
    "tag_words",
    "write_comment",
    "write_document",
    "write_question",
    "write_record",
    "write_summary",
]
