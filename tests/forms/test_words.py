"""Words become pieces and pieces words again, with real tokenizers."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import CanineTokenizer, PreTrainedTokenizerBase

from harness.defects.reference.tokenizers import encoder_tokenizer, real_tokenizer
from harness.errors import ModelError
from harness.forms.words import cut_pieces, first_pieces, read_words_as_text, split_words

NAMES = ("bert-base-cased", "bert-base-uncased", "gpt2", "t5")
WORD = st.text(st.characters(exclude_categories=["Cs", "Z", "Cc"]), min_size=1, max_size=12) | st.sampled_from(
    ["[SEP]", "</s>", "<s>", "\u200b", "\ufe0f", "🙂", "don't", "J.P.", "1,204", "Ünal"]
)
ROW = st.lists(WORD.filter(lambda word: word.split() == [word]), min_size=1, max_size=8)


@pytest.fixture(scope="module", params=NAMES)
def tokenizer(request: pytest.FixtureRequest, shared_data: Path) -> PreTrainedTokenizerBase:
    """Real tokenizers, made ready for words."""
    made = real_tokenizer(shared_data / "tokenizers" / request.param)
    read_words_as_text(made, request.param)
    return made


@given(words=ROW)
def test_words_keep_their_order_and_their_text(tokenizer: PreTrainedTokenizerBase, words: list[str]) -> None:
    """Places rise with the words, and the pieces from one word's place to the next are that word's and no other's."""
    (pieces,) = split_words(tokenizer, [words], 999)
    assert not pieces.cut
    assert list(pieces.begins) == sorted(pieces.begins)
    assert list(pieces.begins.values()) == sorted(set(pieces.begins.values()))
    ends = [*pieces.begins.values(), len(pieces.ids)][1:]
    for (word, start), end in zip(pieces.begins.items(), ends, strict=True):
        alone = tokenizer([[words[word]]], is_split_into_words=True, split_special_tokens=True)
        own = [index for index, at in zip(alone["input_ids"][0], alone.word_ids(0), strict=True) if at == 0]
        found = pieces.ids[start:end]
        assert found[: len(own)] == own
        assert set(found[len(own) :]) <= set(tokenizer.all_special_ids)
    for word in set(range(len(words))) - set(pieces.begins):
        assert len(tokenizer([[words[word]]], is_split_into_words=True, add_special_tokens=False)["input_ids"][0]) == 0


@given(words=ROW, limit=st.integers(1, 12))
def test_a_cut_keeps_the_beginning_and_the_closing_tokens(
    tokenizer: PreTrainedTokenizerBase, words: list[str], limit: int
) -> None:
    """A row that is cut is the beginning of the whole and what closes it, and loses the last words only."""
    (whole,), (part,) = split_words(tokenizer, [words], 999), split_words(tokenizer, [words], limit)
    special = len(tokenizer("")["input_ids"])
    closing = min(special, 1)  # each of these closes with one token, or has none
    assert part.cut == (len(whole.ids) > limit)
    assert len(part.ids) <= max(limit, special)
    if part.cut:
        kept = len(part.ids) - closing
        assert part.ids == whole.ids[:kept] + whole.ids[len(whole.ids) - closing :]
        assert part.begins == {word: place for word, place in whole.begins.items() if place < kept}


def test_first_pieces_of_a_row_with_a_lost_word() -> None:
    """A word without a piece has no place, and special tokens belong to none."""
    assert first_pieces([None, 0, 0, 2, 3, 3, None]) == {0: 1, 2: 3, 3: 4}


def test_a_cut_by_hand() -> None:
    """Seven pieces cut to five keep the opening token, three pieces of words, and the closing token."""
    pieces = cut_pieces([2, 10, 11, 12, 13, 14, 3], [None, 0, 0, 2, 3, 3, None], 5)
    assert (pieces.ids, pieces.begins, pieces.cut) == ([2, 10, 11, 12, 3], {0: 1, 2: 3}, True)


def test_byte_level_words_are_split_as_behind_a_blank(shared_data: Path) -> None:
    """RoBERTa's and GPT-2's tokenizers read a word as in running text once they are made ready, and not before."""
    made = real_tokenizer(shared_data / "tokenizers" / "gpt2")
    text = made("The New York news", split_special_tokens=True)["input_ids"]
    read_words_as_text(made, "gpt2")
    (pieces,) = split_words(made, [["The", "New", "York", "news"]], 99)
    assert pieces.ids[1:] == text[1:]


def test_a_pre_tokenizer_that_cannot_be_told_is_refused(shared_data: Path) -> None:
    """Where words would be read as never before, the error shows both ways to split one."""
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence  # noqa: PLC0415 - for this test alone

    made = real_tokenizer(shared_data / "tokenizers" / "gpt2")
    made.backend_tokenizer.pre_tokenizer = Sequence([Digits(), ByteLevel(add_prefix_space=False)])
    made.add_prefix_space = True  # what transformers 4 asks for, though the pre-tokenizer does not do it
    with pytest.raises(ModelError, match=r"\['news'\].*\['Ġnews'\]"):
        read_words_as_text(made, "gpt2")


def test_a_slow_tokenizer_is_refused() -> None:
    """A tokenizer that cannot tell words from pieces is named."""
    with pytest.raises(ModelError, match=r'"canine" \(CanineTokenizer\) is not a fast one'):
        read_words_as_text(CanineTokenizer(), "canine")


def test_a_tokenizer_that_is_ready_stays_as_it_is() -> None:
    """WordPiece needs nothing: its pre-tokenizer is the same before and after."""
    made = encoder_tokenizer()
    before = made.backend_tokenizer.pre_tokenizer.__getstate__()
    read_words_as_text(made, "bert")
    assert made.backend_tokenizer.pre_tokenizer.__getstate__() == before
