"""German summaries: the same facts as the English ones, in German words."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.newsroom import KINDS, Event, draw_event, english, german, write_summary

EVENTS = st.builds(draw_event, st.integers(0, 2**31), st.integers(0, 10**9))


@given(EVENTS)
def test_german_summary_holds_the_facts_of_the_english_one(event: Event) -> None:
    """Both languages mention the same facts; names, places and amounts are the same words, and spans are exact."""
    summaries = [write_summary(event), write_summary(event, "de")]
    english_words, german_words = (
        {mention.fact: story.text[mention.start : mention.end] for mention in story.mentions} for story in summaries
    )
    assert english_words.keys() == german_words.keys() == {"who", "where", "when", "amount"}
    assert all(english_words[fact] == german_words[fact] for fact in ("who", "where", "amount"))
    assert german_words["when"] == f"{event.facts.when.day}. {german.MONTHS[event.facts.when.month - 1]}"
    assert f" am {german_words['when']} in {german_words['where']} " in summaries[1].text


@given(EVENTS)
def test_german_summary_holds_no_english_word(event: Event) -> None:
    """Apart from names, no word of the German summary is one of the English summary that German has not."""
    shared = {"in", "film", "bands", "warnte", "die", "es", "das", str(event.facts.amount), str(event.facts.when.day)}
    names = {*event.facts.who.name.split(), event.facts.where}
    months = {"april", "august", "september", "november"}
    words = [set(re.findall(r"\w+", write_summary(event, language).text)) - names for language in ("en", "de")]
    assert {word.lower() for word in words[0]} & {word.lower() for word in words[1]} <= shared | months


def test_every_kind_is_told_in_german() -> None:
    """There is one template a kind, no two alike, and twelve months in the order of the English ones."""
    assert set(german.SUMMARIES) == {kind.key for kind in KINDS}
    assert len(set(german.SUMMARIES.values())) == len(KINDS)
    assert [month[0] for month in german.MONTHS] == [month[0] for month in english.MONTHS[:9]] + ["O", "N", "D"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("factory", r"eröffnete am \d+\. \w+ in \w+ eine Fabrik\. Sie schafft \d+ Arbeitsplätze\."),
        ("robbery", r"wurde am \d+\. \w+ in \w+ wegen Raubes verhaftet\. Die Polizei stellte \d+ Münzen sicher\."),
    ],
)
def test_german_sentence_is_this_one(key: str, expected: str) -> None:
    """Two whole summaries, spelled out."""
    event = next(event for event in map(draw_event, [0] * 600, range(600)) if event.kind.key == key)
    assert re.fullmatch(rf"\w+ \w+ {expected}", write_summary(event, "de").text)
