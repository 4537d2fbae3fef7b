"""Differences between texts: marked right, and nothing lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.report.differences import LONGEST, mark_differences, shorten

TEXTS = st.text(max_size=60) | st.lists(st.sampled_from(["the", "cat", "sat", "猫", ".", " "]), max_size=20).map(
    " ".join
)


@given(reference=TEXTS, base=TEXTS, tuned=TEXTS)
def test_pieces_make_up_the_texts(reference: str, base: str, tuned: str) -> None:
    """Whatever the texts, their pieces put together are the texts, and marks are those of each side."""
    marked = mark_differences(reference, base, tuned)
    assert ["".join(piece.text for piece in pieces) for pieces in marked] == [reference, base, tuned]
    assert {piece.mark for piece in marked.reference} <= {"", "gained", "lost"}
    assert {piece.mark for piece in (*marked.base, *marked.tuned)} <= {"", "extra"}


@given(text=TEXTS, other=TEXTS)
def test_equal_texts_have_no_extra_words(text: str, other: str) -> None:
    """An output that is its reference is not marked; what only it said is gained, and nothing is lost."""
    marked = mark_differences(text, other, text)
    assert not any(piece.mark for piece in marked.tuned)
    assert "lost" not in {piece.mark for piece in marked.reference}


def test_known_example() -> None:
    """Words are marked as a reader would, in English and in Japanese."""
    marked = mark_differences("The cat sat here.", "the dog sat.", "The cat, here!")
    assert [(piece.text, piece.mark) for piece in marked.reference] == [
        ("The ", ""), ("cat", "gained"), (" ", ""), ("sat", "lost"), (" ", ""), ("here", "gained"), (".", "lost"),
    ]  # fmt: skip
    assert [piece.text for piece in marked.base if piece.mark] == ["dog"]
    assert [piece.text for piece in marked.tuned if piece.mark] == [",", "!"]
    japanese = mark_differences("猫が座った", "犬が座った", "猫が座った")
    assert [piece.text for piece in japanese.reference if piece.mark == "gained"] == ["猫"]


def test_long_texts_are_cut_before_they_are_compared() -> None:
    """A text of a megabyte is cut to its beginning, with an ellipsis, and compared at once."""
    long = "word " * 200_000
    marked = mark_differences(long, long, "word")
    assert sum(len(piece.text) for piece in marked.base) == LONGEST
    assert marked.base[-1].text.endswith("…")
    assert not any(piece.mark for piece in marked.base)
    assert shorten("x" * LONGEST) == "x" * LONGEST
