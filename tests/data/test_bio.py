"""Tags of scheme IOB2: what is legal, which entities they mean, and how other schemes are told."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.scheme import IOB2, Entities

from harness.data.bio import find_break, may_follow, name_scheme, read_entities

TAGS = st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-creative-work", "I-creative-work"]), max_size=9)


@st.composite
def spans(draw: st.DrawFn) -> list[tuple[int, int, str]]:
    """Entities of a row in their order, apart from each other or side by side."""
    place, found = 0, []
    for gap, length, kind in draw(
        st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.sampled_from("XY")), max_size=4)
    ):
        place += gap
        found.append((place, place + length, kind))
        place += length
    return found


def write_iob2(entities: list[tuple[int, int, str]]) -> list[str]:
    tags = ["O"] * max((end for _, end, _ in entities), default=1)
    for start, end, kind in entities:
        tags[start:end] = [f"B-{kind}", *[f"I-{kind}"] * (end - start - 1)]
    return tags


def write_iob1(entities: list[tuple[int, int, str]]) -> list[str]:
    """B- only where the word before ends an entity of the same type."""
    tags = write_iob2(entities)
    ends = {(end, kind) for _, end, kind in entities}
    for start, _, kind in entities:
        tags[start] = f"{'B' if (start, kind) in ends else 'I'}-{kind}"
    return tags


def write_iobes(entities: list[tuple[int, int, str]]) -> list[str]:
    tags = write_iob2(entities)
    for start, end, kind in entities:
        tags[end - 1] = f"{'S' if end - start == 1 else 'E'}-{kind}"
    return tags


@given(TAGS)
def test_entities_are_those_of_seqeval(tags: list[str]) -> None:
    """Of legal tags and of others the entities are those that seqeval finds in strict mode."""
    found = {(entity.start, entity.end, entity.tag) for entity in Entities([tags], scheme=IOB2).entities[0]}
    assert read_entities(tags) == found


@given(spans())
def test_entities_that_are_written_are_read(entities: list[tuple[int, int, str]]) -> None:
    """What is written in IOB2 is legal, and reads as what was written."""
    tags = write_iob2(entities)
    assert find_break(tags) is None
    assert read_entities(tags) == set(entities)
    assert name_scheme(tags) == "IOB2"


@given(TAGS)
def test_a_break_is_the_first_illegal_pair(tags: list[str]) -> None:
    """All before it is legal, and it is not; without one all pairs are."""
    place = find_break(tags)
    pairs = list(itertools.pairwise(["O", *tags]))
    legal = [may_follow(*pair) for pair in pairs]
    assert legal == [True] * len(tags) if place is None else legal[: place + 1] == [True] * place + [False]


@given(spans())
def test_tags_of_iob1_are_called_so(entities: list[tuple[int, int, str]]) -> None:
    """A row with an entity in IOB1 is called IOB1, unless it is legal in IOB2 as well."""
    tags = write_iob1(entities)
    assert name_scheme(tags) == ("IOB2" if find_break(tags) is None else "IOB1")


@given(spans().filter(bool))
def test_tags_of_iobes_are_called_so(entities: list[tuple[int, int, str]]) -> None:
    """A row with an entity in IOBES ends it with E- or S-, and so it is told."""
    assert name_scheme(write_iobes(entities)) == "IOBES"


@pytest.mark.parametrize(
    ("tags", "scheme"),
    [
        ("B-X I-X L-X O U-Y", "BILOU"),
        ("B-X M-X E-X", "BMES"),
        ("O I-X B-Y", None),
        ("B-X O I-X", None),
        ("O PER", None),
        ("O B-", None),
        ("O B", None),
        ("o", None),
    ],
)
def test_other_schemes_and_none(tags: str, scheme: str | None) -> None:
    """BILOU and BMES have letters of their own; a B- behind O in a row that IOB2 forbids fits no scheme."""
    assert name_scheme(tags.split()) == scheme
