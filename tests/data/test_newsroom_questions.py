"""Questions: answered by the event's fact, never by a distractor's, and sometimes by nothing in the document."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.newsroom import KINDS, Event, Question, draw_event, write_document, write_question
from harness.data.newsroom.asking import ASKINGS, UNTOLD
from harness.data.newsroom.english import MONTHS
from harness.data.newsroom.questions import ASKED, list_questions
from harness.data.newsroom.story import fill_template, list_fields

EVENTS = st.builds(draw_event, st.integers(0, 2**31), st.integers(0, 10**9))


@pytest.fixture(scope="module")
def asked() -> list[tuple[Event, Question]]:
    events = [draw_event(11, index) for index in range(4_000)]
    return [(event, write_question(event)) for event in events]


def list_words(event: Event) -> dict[str, str]:
    when = event.facts.when
    return {
        "who": event.facts.who.name,
        "org": event.facts.org,
        "where": event.facts.where,
        "when": f"{when.day} {MONTHS[when.month - 1]}",
        "amount": str(event.facts.amount),
    }


@given(EVENTS)
def test_answer_is_the_events_fact(event: Event) -> None:
    """Each answer's characters are the words of the fact that is asked for, and no mention of it is left out."""
    question, words = write_question(event), list_words(event)
    assert question.document == write_document(event)
    assert question.references == tuple(question.document.text[start:end] for start, end in question.spans)
    if question.answers:
        assert set(question.references) == {words[question.fact]}
        mentioned = [mention for mention in question.document.mentions if mention.fact == question.fact]
        assert list(question.answers) == mentioned


@given(EVENTS)
def test_question_does_not_tell_its_answer(event: Event) -> None:
    """No question holds the words of the fact that it asks for."""
    question = write_question(event)
    assert question.text.endswith("?")
    assert list_words(event)[question.fact] not in question.text


def test_one_question_in_six_has_no_answer(asked: list[tuple[Event, Question]]) -> None:
    """Of 4,000 questions 15 to 18.5 percent have none; every fact is asked for, with and without an answer."""
    counts = Counter((question.fact, bool(question.answers)) for _, question in asked)
    assert set(counts) == {(fact, answered) for fact in ASKED for answered in (True, False)}
    assert 600 <= sum(count for (_, answered), count in counts.items() if not answered) <= 740


def test_question_without_an_answer_is_none_that_the_document_answers(asked: list[tuple[Event, Question]]) -> None:
    """It is not worded like any question that the event does answer, and it holds no other fact than who and where."""
    for event, question in asked:
        fields = list_fields(event)
        answered = {fill_template(text, fields).text for fact in ASKED for text in list_questions(event.kind, fact)}
        assert (question.text in answered) == bool(question.answers)
        if not question.answers:
            assert not any(list_words(event)[fact] in question.text for fact in ("org", "when", "amount"))


def test_question_without_an_answer_has_one_of_three_reasons(asked: list[tuple[Event, Question]]) -> None:
    """It asks about an event of another topic, about another person's deed, or about what no document tells."""
    reasons: Counter[str] = Counter()
    for event, question in asked:
        if question.answers:
            continue
        fields = list_fields(event)
        swapped = {**fields, "who": fields["other_who"]}
        foreign = [kind for kind in KINDS if kind.topic != event.kind.topic]
        elsewhere = {
            fill_template(text, fields).text for kind in foreign for text in list_questions(kind, question.fact)
        }
        untold = {fill_template(text, fields).text for text in UNTOLD[question.fact]}
        others = {fill_template(text, swapped).text for text in list_questions(event.kind, question.fact)}
        found = [
            name
            for name, texts in (("topic", elsewhere), ("untold", untold), ("person", others))
            if question.text in texts
        ]
        assert len(found) == 1
        assert found != ["person"] or fields["other_who"] in question.text
        reasons.update(found)
    assert min(reasons[name] for name in ("topic", "untold", "person")) > 150


def test_question_of_one_kind_is_asked_for_no_other() -> None:
    """Templates that name their event are its own: no two kinds share one, so another topic's is never answered."""
    named = Counter(
        text for kind in KINDS for fact in ASKED for text in list_questions(kind, fact) if "{noun}" not in text
    )
    assert set(named.values()) == {1}
    assert set(ASKINGS) == {kind.key for kind in KINDS}
    assert all(len(list_questions(kind, fact)) >= 2 for kind in KINDS for fact in ASKED)


def test_questions_are_the_same_for_the_same_event_and_differ_between_seeds() -> None:
    """A question depends on its event alone, and two streams of 500 share no question with its document."""
    one, again, other = ([write_question(draw_event(seed, index)) for index in range(500)] for seed in (1, 1, 2))
    assert one == again
    assert not {(question.document.text) for question in one} & {(question.document.text) for question in other}
    assert len({question.text for question in one}) > 300
