"""Words and tags: no word holds white space, every name is tagged as a whole, nothing else is."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.newsroom import Event, Mention, Story, draw_event, tag_words, write_document, write_summary

EVENTS = st.builds(draw_event, st.integers(0, 2**31), st.integers(0, 10**9))


def list_entities(words: tuple[str, ...], tags: tuple[str, ...]) -> list[tuple[str, str]]:
    """Type and joined words of each tagged entity, read back from the tags alone."""
    entities: list[tuple[str, list[str]]] = []
    for word, tag in zip(words, tags, strict=True):
        if tag.startswith("B-"):
            entities.append((tag[2:], [word]))
        elif tag.startswith("I-"):
            entities[-1][1].append(word)
    return [(entity, "".join(parts)) for entity, parts in entities]


def assert_tagged(story: Story) -> None:
    words, tags = tag_words(story)
    assert "".join(words) == "".join(story.text.split())
    assert not any(character.isspace() for word in words for character in word)
    named = [(m.entity, "".join(story.text[m.start : m.end].split())) for m in story.mentions]
    assert list_entities(words, tags) == named
    for before, tag in pairwise(("O", *tags)):
        assert not tag.startswith("I-") or before[2:] == tag[2:]


@given(EVENTS)
def test_every_mention_is_tagged_as_a_whole(event: Event) -> None:
    """Words and tags give back the text and exactly its mentions, in documents and in summaries of both languages."""
    for story in (write_document(event), write_summary(event), write_summary(event, "de")):
        assert_tagged(story)


def test_mentions_of_3000_documents_stand_at_word_borders() -> None:
    """No document of a long stream has a name that starts or ends inside a word."""
    for index in range(3_000):
        assert_tagged(write_document(draw_event(5, index)))


def test_punctuation_quotes_and_genitives_are_words_of_their_own() -> None:
    """The split is that of the shared tasks of CoNLL; words with hyphens stay whole."""
    text = "\"It's late,\" said Ada Orr of well-known Fjord Trust, the mayor's office."
    place = text.index("Ada Orr")
    words, tags = tag_words(Story(text=text, mentions=(Mention(fact="who", start=place, end=place + 7),)))
    assert " ".join(words) == "\" It 's late , \" said Ada Orr of well-known Fjord Trust , the mayor 's office ."
    assert " ".join(tags) == "O O O O O O O B-PER I-PER O O O O O O O O O O"


@pytest.mark.parametrize("entity", ["PER", "ORG", "LOC", "DATE", "NUM"])
def test_every_type_occurs(entity: str) -> None:
    """A hundred documents hold every type of name."""
    tags = {tag for index in range(100) for tag in tag_words(write_document(draw_event(0, index)))[1]}
    assert f"B-{entity}" in tags
