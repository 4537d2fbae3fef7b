"""Records: all facts of the event by name, no distractor, and no sentence of the summary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.data.newsroom import MOOD_NAMES, MOODS, Event, draw_event, write_record, write_summary

EVENTS = st.builds(draw_event, st.integers(0, 2**31), st.integers(0, 10**9))


@given(EVENTS)
def test_record_names_every_fact_once(event: Event) -> None:
    """The record's values are the event's facts; whatever the summary mentions can be read from it."""
    values = dict(part.split(": ") for part in write_record(event).split("; "))
    assert list(values) == ["topic", "event", "who", "organisation", "where", "when", "amount"]
    assert (values["topic"], values["event"]) == (event.kind.topic, event.kind.key)
    assert (values["who"], values["organisation"]) == (event.facts.who.name, event.facts.org)
    assert values["where"] == event.facts.where
    assert values["amount"].split()[0] == str(event.facts.amount)
    summary = write_summary(event)
    assert all(summary.text[mention.start : mention.end] in write_record(event) for mention in summary.mentions)


@given(EVENTS)
def test_record_tells_no_distractor(event: Event) -> None:
    """Names of the distractors and the witness are not in the record, so a model cannot confuse them."""
    record = write_record(event)
    for words in (event.distractors.who.name, event.distractors.org, event.witness.name):
        assert words not in record


def test_records_of_two_seeds_are_distinct() -> None:
    """A thousand records of two streams are all different."""
    assert len({write_record(draw_event(seed, index)) for seed in (1, 2) for index in range(500)}) == 1000


def test_every_mood_has_a_name_of_its_own() -> None:
    """Five moods, five names, from furious to delighted."""
    assert tuple(MOOD_NAMES) == MOODS == (-2, -1, 0, 1, 2)
    assert tuple(MOOD_NAMES.values()) == ("furious", "unhappy", "neutral", "pleased", "delighted")
