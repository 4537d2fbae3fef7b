"""The newsroom: deterministic everywhere, facts known, summaries not to be had by copying."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.newsroom import ENTITY_TYPES, KINDS, MOODS, TOPICS, draw_event, write_document, write_summary
from harness.data.newsroom.english import REACTIONS, WORDINGS
from harness.data.rows import normalise
from harness.data.source import newsroom_rows
from harness.tasks.summarization import SUMMARIZATION

ROOT = Path(__file__).parents[2]
PINNED = "fe84a49d9188512f93d3003297bbdf471a016839d9f8889b5f3cd4c3cab7ddef"
SEEDS = st.integers(0, 2**31)
INDEXES = st.integers(0, 10**9)

PROGRAM = """
import hashlib, json
from harness.data.newsroom import draw_event, write_document, write_summary
events = [draw_event(42, index) for index in range(200)]
texts = [[write_document(event).text, write_summary(event).text] for event in events]
print(hashlib.sha256(json.dumps(texts).encode()).hexdigest())
"""


def test_corpus_is_pinned() -> None:
    """The first 200 events of seed 42 are these; whoever changes the generator must change every baseline too."""
    events = [draw_event(42, index) for index in range(200)]
    texts = [[write_document(event).text, write_summary(event).text] for event in events]
    assert hashlib.sha256(json.dumps(texts).encode()).hexdigest() == PINNED


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13"])
def test_corpus_is_the_same_on_every_python(version: str) -> None:
    """The generator needs only the standard library and gives the pinned corpus on each supported Python."""
    python = _find_python(version)
    for hash_seed in ("0", "1"):
        environment = {
            **os.environ,
            "PYTHONHASHSEED": hash_seed,
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        done = subprocess.run(
            [python, "-c", PROGRAM], capture_output=True, text=True, check=True, env=environment, cwd=ROOT.anchor
        )
        assert done.stdout.strip() == PINNED


def _find_python(version: str) -> str:
    if sys.version_info[:2] == tuple(map(int, version.split("."))):
        return sys.executable
    managed = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python{version}"))
    for python in filter(None, [shutil.which(f"python{version}"), *map(str, managed)]):
        if subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0:
            return python
    pytest.skip(f"Python {version} is not on this machine")


@given(SEEDS, INDEXES)
def test_every_fact_stands_where_its_mention_says(seed: int, index: int) -> None:
    """Each mention's characters are the fact's words, and the five facts are all in document and summary."""
    event = draw_event(seed, index)
    words = {
        "who": event.facts.who.name,
        "org": event.facts.org,
        "where": event.facts.where,
        "amount": str(event.facts.amount),
        "witness": event.witness.name,
    }
    document, summary = write_document(event), write_summary(event)
    for story in (document, summary):
        for mention in story.mentions:
            assert 0 <= mention.start < mention.end <= len(story.text)
            assert mention.entity in {"PER", "ORG", "LOC", "DATE", "NUM"}
            if mention.fact in words:
                assert story.text[mention.start : mention.end] == words[mention.fact]
    assert {mention.fact for mention in document.mentions} >= {"who", "org", "where", "when", "amount", "witness"}
    assert {mention.fact for mention in summary.mentions} == {"who", "where", "when", "amount"}
    assert any(mention.fact.startswith("other_") for mention in document.mentions)


@given(SEEDS, INDEXES)
def test_distractors_differ_from_the_facts(seed: int, index: int) -> None:
    """No distractor equals the fact it stands for, so a wrong fact is wrong in the text as well."""
    event = draw_event(seed, index)
    for fact in ("org", "where", "when", "amount"):
        assert getattr(event.facts, fact) != getattr(event.distractors, fact)
    assert event.facts.who.last != event.distractors.who.last


@given(SEEDS, INDEXES)
def test_no_sentence_of_the_summary_is_in_the_document(seed: int, index: int) -> None:
    """Copying a sentence is not a summary: the summary's words for the event are its own."""
    event = draw_event(seed, index)
    document, summary = normalise(write_document(event).text), write_summary(event).text
    for sentence in summary.rstrip(".").split(". "):
        assert normalise(sentence) not in document


def test_every_kind_mood_and_topic_occurs() -> None:
    """Later tasks find all their classes in a few hundred rows."""
    events = [draw_event(0, index) for index in range(600)]
    assert {event.kind for event in events} == set(KINDS)
    assert {event.mood for event in events} == set(MOODS) == set(REACTIONS)
    assert {event.kind.topic for event in events} == set(TOPICS)
    assert set(WORDINGS) == {kind.key for kind in KINDS}
    assert set(ENTITY_TYPES.values()) == {"PER", "ORG", "LOC", "DATE", "NUM"}


def test_more_rows_change_no_row() -> None:
    """Row n is the same however many rows are asked for."""
    assert newsroom_rows(SUMMARIZATION, 50, 7) == newsroom_rows(SUMMARIZATION, 500, 7)[:50]


def test_rows_are_distinct() -> None:
    """20,000 rows of a seed hold no two equal documents, even after normalising."""
    rows = newsroom_rows(SUMMARIZATION, 20_000, 3)
    assert len({row.normalised_hash for row in rows}) == len(rows)
