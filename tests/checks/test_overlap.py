"""Copies are told from rows of one template."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.checks.overlap import NEAR, find_matches, split_words
from harness.defects.reference.rows import read_splits

ROWS = read_splits(train=200, evaluation=50)
TRAIN = [f"{row['input']} {row['target']}" for row in ROWS["train"]]
EVAL = [f"{row['input']} {row['target']}" for row in ROWS["eval"]]


def test_rows_of_one_template_are_no_near_duplicates() -> None:
    """Two hundred rows of one template give no match near the threshold."""
    assert max(match.containment for match in find_matches(EVAL, TRAIN)) < NEAR - 0.2


@given(
    row=st.integers(0, 49), word=st.integers(0, 15), new=st.sampled_from(["quick", "the", "seven"]), upper=st.booleans()
)
def test_a_copy_with_one_changed_word_is_found(row: int, word: int, new: str, upper: bool) -> None:  # noqa: FBT001
    """A row with one word exchanged, in any case, is matched to its original."""
    words = EVAL[row].split()
    words[word] = new
    copied = " ".join(words).upper() if upper else " ".join(words)
    found = find_matches([copied], [*TRAIN, EVAL[row]])
    assert found[0].other == len(TRAIN)
    assert found[0].containment >= NEAR


def test_a_row_is_no_duplicate_of_itself() -> None:
    """Within one list, a row is compared with the others alone."""
    assert all(match.other != match.row for match in find_matches(TRAIN, TRAIN, same=True))


def test_an_overlapping_piece_is_a_long_run() -> None:
    """Two pieces of one document that overlap by thirty words share a run; pieces of others do not."""
    text = [f"word{number}" for number in range(100)]
    found = find_matches([" ".join(text[40:])], [" ".join(text[:70]), "quite another text"])
    assert found[0].run


@given(st.text())
def test_words_do_not_depend_on_case_spacing_or_punctuation(text: str) -> None:
    """Words are the same after compatibility normalisation, folding and extra punctuation."""
    assert split_words(f"  {text} !") == split_words(text)


def test_scripts_without_spaces_are_split_by_character() -> None:
    """Japanese and Chinese texts have as many words as characters, so near-duplicates can be seen."""
    assert split_words("今日は晴れ。") == ["今", "日", "は", "晴", "れ"]
