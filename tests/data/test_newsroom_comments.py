"""Short items: each shows the mood of its witness in words of that mood alone."""

from __future__ import annotations

from harness.data.newsroom import draw_event, write_comment
from harness.data.newsroom.english import REACTIONS


def list_moods(text: str, witness: str) -> list[int]:
    """The moods whose words stand in a text."""
    return [
        mood
        for mood, sentences in REACTIONS.items()
        if any(sentence.replace("{witness}", witness) in text for sentence in sentences)
    ]


def test_comment_shows_one_mood() -> None:
    """Exactly one sentence says how the witness took it, and it is of the event's mood; facts stand where they say."""
    for index in range(300):
        event = draw_event(4, index)
        story = write_comment(event)
        assert list_moods(story.text, event.witness.name) == [event.mood]
        facts = {story.text[mention.start : mention.end] for mention in story.mentions}
        assert {event.witness.name, event.facts.org, event.facts.where} <= facts


def test_comment_depends_on_its_event_alone() -> None:
    """The same event gives the same text, another one another."""
    assert write_comment(draw_event(4, 7)) == write_comment(draw_event(4, 7)) != write_comment(draw_event(4, 8))
