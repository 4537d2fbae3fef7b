"""Facts of the newsroom: what is told, what is made up, and what is neither."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.newsroom import draw_event, write_document, write_summary
from harness.data.rows import Row
from harness.data.source import newsroom_rows
from harness.errors import DataError
from harness.metrics import Output
from harness.metrics.facts import FACTS, FoundFacts, judge_facts
from harness.tasks.summarization import SUMMARIZATION

EVENTS = st.builds(draw_event, st.integers(0, 5), st.integers(0, 400))
EVENT = draw_event(3, 0)
"""Kamal Larson of Falcon Union ran 38 seconds faster in Goldcross on 25 September; not Ben Valberg, 47, in Ashmouth."""


def judge(text: str) -> FoundFacts:
    return judge_facts(text, EVENT)


@given(EVENTS)
def test_the_summary_tells_all_and_invents_nothing(event: object) -> None:
    """The event's own summary has its four facts and nothing else."""
    found = judge_facts(write_summary(event).text, event)  # type: ignore[arg-type]
    assert found.told == found.asked == found.right
    assert len(found.asked) == 4
    assert not found.invented


@given(EVENTS)
def test_copying_the_document_copies_its_distractors(event: object) -> None:
    """The document tells everything, right and wrong: all that its mentions are, no more."""
    document = write_document(event)  # type: ignore[arg-type]
    mentioned = {other: set() for other in (True, False)}  # type: dict[bool, set[str]]
    for mention in document.mentions:
        mentioned[mention.fact.startswith("other_")].add(document.text[mention.start : mention.end])
    found = judge_facts(document.text, event)  # type: ignore[arg-type]
    assert found.told == found.asked
    assert found.right == mentioned[False]
    assert found.invented == mentioned[True] - mentioned[False] != set()


@given(EVENTS, EVENTS)
def test_another_summary_is_found_out(event: object, other: object) -> None:
    """A summary of another event tells facts only where the events share them; the rest is invented."""
    theirs = write_summary(other)  # type: ignore[arg-type]
    found = judge_facts(theirs.text, event)  # type: ignore[arg-type]
    stated = {theirs.text[mention.start : mention.end] for mention in theirs.mentions}
    # What is a mere piece of the document, as the day in "7 May", is neither.
    pieces = {words for words in stated if re.search(rf"\b{re.escape(words)}\b", write_document(event).text)}  # type: ignore[arg-type]
    assert stated - pieces <= found.right | found.invented <= stated
    assert found.told == stated & found.asked


@pytest.mark.parametrize(
    ("text", "right", "invented"),
    [
        ("Kamal Larson won.", {"Kamal Larson"}, set()),
        ("Larson's gain was 38 seconds.", {"Larson", "38"}, set()),
        ("It was Ben Valberg of Comet Foundation.", set(), {"Ben Valberg", "Comet Foundation"}),
        ("Valberg said so in Ashmouth on 18 October.", set(), {"Valberg", "Ashmouth", "18 October"}),
        (
            "The Acorn Trust gave 12.5 in New York on 26 September.",
            set(),
            {"Acorn Trust", "12.5", "York", "26 September"},
        ),
        ("Police in Goldcross. The Police. It.", {"Goldcross"}, set()),
        ("Kamal Larsson in Goldcrossing, 38.5 or 138", set(), {"Kamal Larsson", "Goldcrossing", "38.5", "138"}),
        ("Somebody Larson", {"Larson"}, {"Somebody"}),
        ("Kamal, on the 25 or in September, with Falcon", set(), set()),
        ("25 September, 25 September, 25 September", {"25 September"}, set()),
        ("38 September", set(), {"38 September"}),
        ("kamal larson in goldcross", set(), set()),
        ("", set(), set()),
    ],
)
def test_statements(text: str, right: set[str], invented: set[str]) -> None:
    """Names, dates and numbers count whole; starts of sentences and mere pieces of the document are neither."""
    found = judge(text)
    assert (found.right, found.invented) == (right, invented)


def test_scores_by_hand() -> None:
    """Who and where of four facts, and one of three statements invented."""
    row = newsroom_rows(SUMMARIZATION, 1, 3)[0]
    text = "Kamal Larson ran in Goldcross for 47 seconds."
    scores = FACTS.score([Output(text=text), Output(text="")], [row, row])
    assert scores["facts_right"].tolist() == [50, 0]
    assert scores["facts_invented"] == pytest.approx([100 / 3, 0])


def test_only_the_newsrooms_own_summaries_apply() -> None:
    """Rows of another source, or with another target, have no facts that are known."""
    rows = newsroom_rows(SUMMARIZATION, 3, 0)
    assert FACTS.applies(rows)
    assert not FACTS.applies([*rows, Row(id="4", input="x", target="y")])
    assert not FACTS.applies([replace(rows[0], target="delighted")])
    assert not FACTS.applies([replace(rows[0], id="newsroom-0-1")])
    with pytest.raises(DataError, match='"4" is no event'):
        FACTS.score([Output(text="x")], [Row(id="4", input="x", target="y")])
