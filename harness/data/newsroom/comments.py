"""From an event to a short item: what happened, and how a witness took it."""

from __future__ import annotations

from harness.data.newsroom.draw import Draw
from harness.data.newsroom.english import REACTIONS, WORDINGS
from harness.data.newsroom.events import Event
from harness.data.newsroom.story import Story, fill_template, list_fields


def write_comment(event: Event) -> Story:
    """Tell the event in two sentences, one of which has the witness's mood; their words are those of the documents."""
    draw = Draw(event.key, "comment")
    sentences = draw.shuffled([draw.pick(WORDINGS[event.kind.key].leads), draw.pick(REACTIONS[event.mood])])
    return fill_template(" ".join(sentences), list_fields(event))
