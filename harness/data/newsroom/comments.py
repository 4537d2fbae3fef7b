"""From an event to a short item: what happened, and how a witness took it."""

from __future__ import annotations

from harness.data.newsroom.draw import Draw
from harness.data.newsroom.english import BACKGROUNDS, DATES, REACTIONS, WORDINGS
from harness.data.newsroom.events import Event
from harness.data.newsroom.story import Story, fill_template, list_fields


def write_comment(event: Event) -> Story:
    """Tell the event in four sentences, one of which has the witness's mood; its words are those of the documents."""
    draw = Draw(event.key, "comment")
    body = draw.shuffled([draw.pick(REACTIONS[event.mood]), draw.pick(DATES), draw.pick(BACKGROUNDS)])
    return fill_template(" ".join([draw.pick(WORDINGS[event.kind.key].leads), *body]), list_fields(event))
