"""From a story to its words and their tags: which of them name a person, an organisation, a place, a day, a number."""

from __future__ import annotations

import re

from harness.data.newsroom.story import Story

WORD = re.compile(r"'s\b|\w+(?:-\w+)*|[^\w\s]")
"""A word, the 's of a genitive, or one punctuation mark, as the shared tasks of CoNLL split their texts."""


def tag_words(story: Story) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Split a story into words and tag each one: ``B-`` at the first word of a name, ``I-`` inside, ``O`` outside.

    Returns:
        The words and the tags, equally many; types are PER, ORG, LOC, DATE and NUM.
    """
    words, tags = [], []
    for match in WORD.finditer(story.text):
        words.append(match.group())
        tags.append(_tag(story, match.start()))
    return tuple(words), tuple(tags)


def _tag(story: Story, start: int) -> str:
    for mention in story.mentions:
        if mention.start <= start < mention.end:
            return f"{'B' if start == mention.start else 'I'}-{mention.entity}"
    return "O"
