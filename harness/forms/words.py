"""From the words of a row to the pieces that an encoder reads, and back to the words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tokenizers.pre_tokenizers import ByteLevel
from transformers import PreTrainedTokenizerBase

from harness.errors import ModelError


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """The pieces of a row's words.

    Args:
        ids: their ids, special tokens included.
        begins: for each word that left a piece the place of its first, in the order of the words.
        cut: whether there were more than allowed.
    """

    ids: list[int]
    begins: dict[int, int]
    cut: bool


def split_words(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Sequence[str]], limit: int) -> list[Pieces]:
    """Split the words of each row into at most ``limit`` pieces; what is cut is the end, never the closing tokens."""
    # A word that happens to read "[SEP]" is text; taken for the token it would end the row there.
    encoded = tokenizer([list(words) for words in rows], is_split_into_words=True, split_special_tokens=True)
    return [cut_pieces(ids, encoded.word_ids(number), limit) for number, ids in enumerate(encoded["input_ids"])]


def cut_pieces(ids: list[int], word_ids: Sequence[int | None], limit: int) -> Pieces:
    """At most ``limit`` pieces of a row.

    Args:
        ids: the ids of all pieces.
        word_ids: for each piece the word it belongs to; None for special tokens.
        limit: how many may stay.
    """
    if len(ids) <= limit:
        return Pieces(ids=ids, begins=first_pieces(word_ids), cut=False)
    end = len(ids)
    while end and word_ids[end - 1] is None:
        end -= 1
    room = max(0, limit - (len(ids) - end))
    return Pieces(ids=ids[:room] + ids[end:], begins=first_pieces(word_ids[:room]), cut=True)


def first_pieces(word_ids: Sequence[int | None]) -> dict[int, int]:
    """Where each word begins: word to place, for the words that left a piece, in order."""
    places: dict[int, int] = {}
    for place, word in enumerate(word_ids):
        if word is not None:
            places.setdefault(word, place)
    return places


def read_words_as_text(tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Make sure that a word is split as it is behind a blank in running text, for so the model knows it.

    A byte-level tokenizer, as RoBERTa's, takes a given word for one without a blank before it unless it is told
    otherwise (``add_prefix_space``); transformers 4 refuses that, transformers 5 says nothing.

    Args:
        tokenizer: changed in place where it has to be told.
        name: of the model, for messages.

    Raises:
        ModelError: it cannot say which piece belongs to which word, or splits words in another way than running text.
    """
    if not tokenizer.is_fast:
        raise ModelError(
            f'The tokenizer of "{name}" ({type(tokenizer).__name__}) is not a fast one.',
            why="It cannot say which piece belongs to which word.",
            fix="Give a model whose tokenizer has a tokenizer.json.",
        )
    splitter = tokenizer.backend_tokenizer.pre_tokenizer
    if isinstance(splitter, ByteLevel) and not splitter.add_prefix_space:
        splitter.add_prefix_space = True
        tokenizer.backend_tokenizer.pre_tokenizer = splitter
        tokenizer.add_prefix_space = True
    options = {"add_special_tokens": False}
    given = tokenizer([["The", "news"]], is_split_into_words=True, **options)
    ids = [piece for piece, word in zip(given["input_ids"][0], given.word_ids(0), strict=True) if word == 1]
    text = tokenizer("The news", **options)["input_ids"]
    if text[-len(ids) :] != ids:
        raise ModelError(
            f'The tokenizer of "{name}" splits the word "news" into {tokenizer.convert_ids_to_tokens(ids)}, and in '
            f'"The news" into {tokenizer.convert_ids_to_tokens(text)[-len(ids) :]}.',
            why="The model would read words that it has never seen.",
            fix='Set "add_prefix_space": true in tokenizer_config.json, or mend the pre-tokenizer in tokenizer.json.',
        )
