"""Hypothesis strategies for what breaks language pipelines; public, for tests of your own.

::

    from hypothesis import given
    from harness.checks import strategies

    @given(strategies.texts())
    def test_a_text_survives_my_tokenizer(text): ...

Each strategy shrinks towards a short, plain example.
"""
# ruff: noqa: RUF001 - letters that look alike are the point

from __future__ import annotations

import unicodedata
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

SCRIPTS: dict[str, tuple[str, ...]] = {
    "Latin": ("word", "a", "Zürich", "naïve", "straße", "İstanbul", "don't", "l'été"),
    "Greek": ("λόγος", "Ἀθῆναι"),
    "Cyrillic": ("слово", "Ёлка", "їжак"),
    "Hebrew": ("שלום", "מילה"),
    "Arabic": ("كلمة", "سلام", "۱۲۳"),
    "Devanagari": ("शब्द", "हिन्दी"),
    "Bengali": ("শব্দ",),
    "Tamil": ("சொல்",),
    "Thai": ("คำ", "สวัสดี"),
    "Georgian": ("სიტყვა",),
    "Amharic": ("ቃል",),
    "Chinese": ("词", "汉字", "繁體"),
    "Japanese": ("ことば", "カタカナ", "漢字かな"),
    "Korean": ("단어", "한글"),
}
"""Words by script."""

EMOJI = ("🙂", "👍🏽", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇲🇬", "1️⃣", "🫠")
"""One character to the eye, up to seven code points."""

COMBINING = ("e\u0301", "n\u0303", "a\u0308\u0304", "g\u0300\u0301\u0302\u0303", "\u0301")
"""Letters with combining marks, decomposed, and a mark with no letter before it."""

ODD = (
    "1,234.56",
    "3.14e-10",
    "𝔉𝔬𝔫𝔱",
    "ﬁne",
    "ＡＢＣ",
    "\u200b",
    "\u00ad",
    "\ufeff",
    "\u202eabc",
    "\u00a0",
    "x" * 40,
    "''",
    '"',
    "\\n",
)
"""Numbers, letters of compatibility, what cannot be seen, and quotes."""

LOOK_ALIKES = (
    "</s>", "<s>", "<pad>", "<unk>", "<mask>", "<extra_id_0>", "[CLS]", "[SEP]", "[PAD]", "[MASK]", "[UNK]",
    "<|endoftext|>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<|im_start|>", "<|im_end|>", "[INST]",
    "[/INST]", "<bos>", "<eos>", "<0x0A>", "▁", "Ġ", "##ing",
)  # fmt: skip
"""Plain text that a tokenizer may take for one of its special tokens."""

SPACES = (" ", "  ", "\n", "\n\n", "\t", " \n ")

_KINDS = ("PER", "LOC", "ORG")


def words() -> SearchStrategy[str]:
    """One word in any script: never empty, and no blanks within."""
    plain = [word for script in SCRIPTS.values() for word in script]
    return st.sampled_from([*plain, *EMOJI, *COMBINING[:-1], "1,234.56", "ﬁne", "ＡＢＣ", "x" * 40])


def look_alikes() -> SearchStrategy[str]:
    """A text that looks like a special token."""
    return st.sampled_from(LOOK_ALIKES)


def texts(*, max_words: int = 8, special: bool = True, odd: bool = True) -> SearchStrategy[str]:
    """Texts of mixed scripts, the empty one included.

    Args:
        max_words: at most so many words.
        special: with texts that look like special tokens.
        odd: with what cannot be seen, blanks in rows, line breaks, and any Unicode character that may stand in a file.
    """
    parts = words()
    spaces: SearchStrategy[str] = st.just(" ")
    if special:
        parts |= look_alikes()
    if odd:
        parts |= st.sampled_from([*ODD, COMBINING[-1]]) | st.text(st.characters(codec="utf-8"), max_size=6)
        spaces = st.sampled_from(SPACES)
    pairs = st.lists(st.tuples(parts, spaces), max_size=max_words)
    return pairs.map(lambda found: "".join(part + space for part, space in found)[:-1])


def huge_texts(*, words_from: int = 2_000, words_to: int = 4_000) -> SearchStrategy[str]:
    """One word over and over: longer than any context window of a small model."""
    return st.builds(lambda word, count: " ".join([word] * count), words(), st.integers(words_from, words_to))


def visible_texts(*, max_words: int = 8, special: bool = False) -> SearchStrategy[str]:
    """Texts of mixed scripts with something to read in them, single blanks between words and none around."""
    return texts(max_words=max_words, special=special, odd=False).map(_settle).filter(bool)


def chats(*, max_turns: int = 3, special: bool = True) -> SearchStrategy[list[dict[str, str]]]:
    """Messages with ``role`` and ``content``: perhaps a system's, then user and assistant in turn; the assistant ends.

    Args:
        max_turns: at most so many answers.
        special: messages may look like special tokens.
    """
    said = texts(special=special)
    system = st.one_of(st.none(), said)
    turns = st.lists(st.tuples(said, said), min_size=1, max_size=max_turns)
    return st.builds(_write_chat, system, turns)


def answer_spans(*, max_words: int = 12) -> SearchStrategy[dict[str, Any]]:
    """Rows for question answering: ``question``, ``context``, ``answer`` and its place ``start``, in characters.

    The answer is one or more whole words of the context, and may occur there more than once.
    """
    context = st.lists(words(), min_size=1, max_size=max_words)
    places = st.tuples(st.integers(0, max_words - 1), st.integers(0, max_words - 1))
    return st.builds(_write_span, context, words(), places)


def bio_tags(*, kinds: tuple[str, ...] = _KINDS, min_size: int = 0, max_size: int = 8) -> SearchStrategy[list[str]]:
    """Legal BIO sequences: ``I-x`` stands only behind ``B-x`` or ``I-x``."""
    spans = st.tuples(st.sampled_from(["O", *kinds]), st.integers(1, 3))
    sized = st.integers(min_size, max_size)
    return st.builds(_write_tags, st.lists(spans, min_size=max_size, max_size=max_size), sized)


def tagged_words(*, kinds: tuple[str, ...] = _KINDS, max_size: int = 8) -> SearchStrategy[tuple[list[str], list[str]]]:
    """Words in any script, and a legal BIO tag for each of them; at least one."""
    tags = bio_tags(kinds=kinds, min_size=1, max_size=max_size)
    return tags.flatmap(
        lambda found: st.tuples(st.lists(words(), min_size=len(found), max_size=len(found)), st.just(found))
    )


def unequal_batches(
    vocabulary: int, *, min_rows: int = 2, max_rows: int = 4, max_length: int = 12
) -> SearchStrategy[list[list[int]]]:
    """Batches of token ids in ``range(vocabulary)`` in which no two rows are equally long; none is empty.

    Args:
        vocabulary: ids are below this.
        min_rows: at least so many rows.
        max_rows: at most so many rows; no more than ``max_length``.
        max_length: no row is longer.
    """
    lengths = st.lists(st.integers(1, max_length), min_size=min_rows, max_size=max_rows, unique=True)
    ids = st.integers(0, vocabulary - 1)
    return lengths.flatmap(
        lambda found: st.tuples(*(st.lists(ids, min_size=size, max_size=size) for size in found))
    ).map(list)


def _settle(text: str) -> str:
    """The text in composed form, with single blanks."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def _write_chat(system: str | None, turns: list[tuple[str, str]]) -> list[dict[str, str]]:
    opening = [] if system is None else [{"role": "system", "content": system}]
    spoken = [
        {"role": role, "content": text}
        for question, answer in turns
        for role, text in (("user", question), ("assistant", answer))
    ]
    return opening + spoken


def _write_span(context: list[str], question: str, places: tuple[int, int]) -> dict[str, Any]:
    first, last = sorted(place % len(context) for place in places)
    return {
        "question": question,
        "context": " ".join(context),
        "answer": " ".join(context[first : last + 1]),
        "start": sum(len(word) + 1 for word in context[:first]),
    }


def _write_tags(spans: list[tuple[str, int]], size: int) -> list[str]:
    tags: list[str] = []
    for kind, length in spans:
        tags += ["O"] * length if kind == "O" else [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
    return tags[:size]
