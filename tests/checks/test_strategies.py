"""The public strategies give what they promise, and find_failing gives the smallest failing example."""

from __future__ import annotations

import itertools
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checks import strategies
from harness.checks.examples import find_failing
from harness.models.crf import may_follow

quick = settings(max_examples=40, deadline=None)


@pytest.mark.parametrize(
    "wanted",
    [
        lambda text: text == "",
        lambda text: "\n" in text,
        lambda text: any(alike in text for alike in strategies.LOOK_ALIKES),
        lambda text: any(unicodedata.combining(letter) for letter in text),
        lambda text: any(emoji in text for emoji in strategies.EMOJI),
        lambda text: any("THAI" in unicodedata.name(letter, "") for letter in text),
        lambda text: any("ARABIC" in unicodedata.name(letter, "") for letter in text),
    ],
    ids=["empty", "line break", "look-alike", "combining", "emoji", "Thai", "Arabic"],
)
def test_texts_cover_what_breaks_pipelines(wanted: object) -> None:
    """Each hard kind of text turns up within a few hundred."""

    def refuse(text: str) -> None:
        assert not wanted(text)  # type: ignore[operator]

    assert find_failing(strategies.texts(), refuse, examples=400, seconds=20)


@quick
@given(strategies.visible_texts())
def test_visible_texts_are_composed_and_plain(text: str) -> None:
    """Something to read, one blank between words, composed letters, no look-alikes."""
    assert text
    assert text == " ".join(unicodedata.normalize("NFC", text).split())
    assert not any(alike in text for alike in ("</s>", "[CLS]", "<|assistant|>"))


@settings(max_examples=5, deadline=None)
@given(strategies.huge_texts())
def test_huge_texts_are_longer_than_a_window(text: str) -> None:
    """At least two thousand words."""
    assert len(text.split()) >= 2000


@quick
@given(strategies.chats())
def test_chats_take_turns_and_end_with_the_assistant(chat: list[dict[str, str]]) -> None:
    """At most one system message, at the front; then user and assistant in turn."""
    roles = [message["role"] for message in chat]
    turns = roles[1:] if roles[0] == "system" else roles
    assert turns == ["user", "assistant"] * (len(turns) // 2)
    assert turns


@quick
@given(strategies.answer_spans())
def test_answers_stand_where_they_are_said_to(row: dict[str, object]) -> None:
    """The context at the start position is the answer."""
    context, answer, start = str(row["context"]), str(row["answer"]), row["start"]
    assert isinstance(start, int)
    assert context[start : start + len(answer)] == answer != ""


@quick
@given(strategies.tagged_words())
def test_tags_are_legal_and_one_a_word(tagged: tuple[list[str], list[str]]) -> None:
    """As many tags as words, at least one, in legal BIO."""
    words, tags = tagged
    assert len(words) == len(tags) > 0
    assert all(may_follow(before, after) for before, after in itertools.pairwise(["O", *tags]))


@quick
@given(strategies.unequal_batches(10))
def test_rows_of_a_batch_are_of_unequal_length(batch: list[list[int]]) -> None:
    """No two rows are equally long, none is empty, and all ids exist."""
    lengths = [len(row) for row in batch]
    assert len(set(lengths)) == len(lengths) >= 2
    assert min(lengths) > 0
    assert {token for row in batch for token in row} <= set(range(10))


def test_the_failing_example_is_the_smallest_and_can_be_pasted() -> None:
    """The example is shrunk, the same each time, and printed as a line of code that makes it."""

    def refuse(text: str) -> None:
        assert "é" not in text

    first, second = (find_failing(strategies.texts(), refuse, examples=300, seconds=20) for _ in range(2))
    assert first
    assert second
    assert first.value == second.value == "l'été"
    assert str(first) == """@example("l'été")"""
    assert isinstance(first.error, AssertionError)


def test_nothing_is_found_where_nothing_fails() -> None:
    """A test that accepts everything has no failing example, and is asked many times."""
    asked: list[str] = []
    assert find_failing(strategies.texts(), asked.append) is None
    assert len(asked) > 10


def test_no_new_input_is_tried_when_the_time_is_over() -> None:
    """With no time at all, the test is never called."""
    asked: list[str] = []
    assert find_failing(st.text(), asked.append, seconds=0) is None
    assert asked == []
