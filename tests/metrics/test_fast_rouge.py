"""Fast ROUGE: bit for bit what rouge_score says, whatever the texts are."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from harness.data.rows import Row
from harness.metrics import Output, fast_rouge, porter, rouge
from harness.metrics.fast_rouge import KINDS, Alphabet, score_pairs
from harness.metrics.rouge import Rouge

BREAKS = st.sampled_from(["\n", "\n", "\n", "\r", "\x1c", "\u2028"])
FEW_WORDS = st.builds(
    str.join, BREAKS, st.lists(st.lists(st.sampled_from("abcd"), max_size=9).map(" ".join), max_size=5)
)
"""Lines in which words recur, so that there are several longest common subsequences."""
ODD = [
    *("İ", "K", "\u017f", "ß", "Σ", "é", "e\u0301", "ﬁ", "²", "٣", "ǅ", "\ud800", "日本", "🙂", "\x00"),
    *("\n", "\r\n", "\r", "\x0b", "\x1c", "\x85", "\u2028", "\xa0", "\t", " "),
    *("_", "snake_case", "-", "don't", "U.S.", "3.5", "1,000", "007", "'", "”", "."),
    *("dying", "skies", "news", "Innings", "proceeded", "ugly", "agreed", "SINGING", "yyyy", "sses", "ion", "ionion"),
]
ODD_TEXTS = st.lists(st.sampled_from(ODD) | st.sampled_from(["cat", "Cats", " "]), max_size=14).map("".join)
TEXTS = st.one_of(FEW_WORDS, ODD_TEXTS, st.text(max_size=40))


def by_library(texts: list[str], targets: list[str], *, stemmer: bool) -> list[list[float]]:
    scorer = RougeScorer(list(KINDS), use_stemmer=stemmer)
    scored = [scorer.score(target, text) for text, target in zip(texts, targets, strict=True)]
    return [[scores[kind].fmeasure for kind in KINDS] for scores in scored]


@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=6), st.booleans())
@example([("b a", "a b a"), ("a b\nb a c", "c a b\na c b")], False)  # noqa: FBT003 - hypothesis
@example([("", ""), ("\n\n", "a"), ("a", "日本")], True)  # noqa: FBT003 - hypothesis
@example([("a b c", "x"), ("x", "b c a")], False)  # noqa: FBT003 - no bigram reaches into the next text
def test_every_pair_scores_as_the_library_scores_it(pairs: list[tuple[str, str]], stemmer: bool) -> None:  # noqa: FBT001
    """All four kinds are the library's to the last bit, of odd texts too and whatever stands beside them."""
    texts, targets = [text for text, _ in pairs], [target for _, target in pairs]
    scores = score_pairs(texts, targets, Alphabet(stemmer=stemmer))
    assert scores.tolist() == by_library(texts, targets, stemmer=stemmer)


@pytest.mark.slow
@given(st.integers(1, 400), st.integers(0, 2**32))
def test_long_lines_score_as_the_library_scores_them(words: int, seed: int) -> None:
    """Lines of more tokens than a machine word has bits, over few words and over many."""
    rng = np.random.default_rng(seed)
    texts, targets = (
        ["\n".join(" ".join(map(str, rng.integers(0, most, words))) for _ in range(2)) for most in (3, 40)]
        for _ in range(2)
    )
    assert score_pairs(texts, targets, Alphabet(stemmer=False)).tolist() == by_library(texts, targets, stemmer=False)


@given(st.lists(st.tuples(FEW_WORDS, FEW_WORDS), min_size=4, max_size=9))
def test_parts_change_nothing(pairs: list[tuple[str, str]]) -> None:
    """Three pairs at a time, and words forgotten in between, score as all at once."""
    texts, targets = [text for text, _ in pairs], [target for _, target in pairs]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast_rouge, "MOST_PAIRS", 3)
        patch.setattr(fast_rouge, "MOST_WORDS", 2)
        in_parts = score_pairs(texts, targets, Alphabet(stemmer=True))
    assert in_parts.tolist() == score_pairs(texts, targets, Alphabet(stemmer=True)).tolist()


def test_a_word_is_stemmed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a word stands in the texts, in whatever case, it is stemmed once."""
    stemmed: list[str] = []
    alphabet = Alphabet(stemmer=True)
    stem = porter.stem
    monkeypatch.setattr(porter, "stem", lambda word: stemmed.append(word) or stem(word))
    for _ in range(2):
        score_pairs(["Running cats", "cats running"], ["cats", "CATS running"], alphabet)
    assert sorted(stemmed) == ["cats", "running"]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words are forgotten when they are many: a million rows need no more memory than some thousands."""
    monkeypatch.setattr(fast_rouge, "MOST_WORDS", 20)
    alphabet = Alphabet(stemmer=True)
    for number in range(50):
        score_pairs([f"word{number}x"], ["word-a-b-c-d"], alphabet)
        assert max(len(alphabet), len(alphabet._characters)) <= 20 + 6


@pytest.mark.parametrize("unsure", ["version", "characters"])
def test_the_library_scores_where_this_is_unsure(monkeypatch: pytest.MonkeyPatch, unsure: str) -> None:
    """With a rouge_score of another version, or with more tokens than characters, it scores by itself."""
    asked: list[str] = []

    class Watched(RougeScorer):  # type: ignore[misc]  # the base class is untyped
        def score_multi(self, targets: list[str], prediction: str) -> object:
            asked.append(prediction)
            return super().score_multi(targets, prediction)

    monkeypatch.setattr("rouge_score.rouge_scorer.RougeScorer", Watched)
    outputs, rows = [Output(text="the cats sat")], [Row(id="1", input="", target="a cat sat", references=("a", "cat"))]
    expected = Rouge().score(outputs, rows)
    assert asked == []
    if unsure == "version":
        monkeypatch.setattr(rouge, "KNOWN_VERSIONS", {"0.0.4"})
    else:
        monkeypatch.setattr(fast_rouge, "chr", lambda number: chr(number + 0x10FFFF), raising=False)
    assert Rouge().score(outputs, rows) == expected
    assert asked == ["the cats sat"]


@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.long), pytest.param(4, marks=pytest.mark.slow)])
@pytest.mark.parametrize("stemmer", [True, False])
def test_a_published_system_scores_as_the_library_scores_it(shared_data: Path, stemmer: bool, every: int) -> None:  # noqa: FBT001
    """XSum's test rows, all of them or every fourth, each with the last bit, one line a text and three."""
    folder = shared_data / "xsum-system-outputs"
    texts, targets = (
        gzip.decompress((folder / name).read_bytes()).decode("utf-8").splitlines()[::every]
        for name in ("topic-convs2s-test-output.txt.gz", "gold-test-sentences.txt.gz")
    )
    for lines in (1, 3):
        pairs = [["\n".join(side[at : at + lines]) for at in range(0, len(side), lines)] for side in (texts, targets)]
        scores = score_pairs(*pairs, Alphabet(stemmer=stemmer))
        assert scores.tolist() == by_library(*pairs, stemmer=stemmer)
