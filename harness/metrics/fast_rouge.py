"""The F-measures of rouge_score, bit for bit, for many pairs of texts at once.

A word is split by rouge_score itself and stemmed once, and becomes characters, one for each token. So a text becomes a
string, n-grams are counted for all pairs together, and rapidfuzz measures the longest common subsequences.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import LCSseq
from rapidfuzz.process import cpdist
from rouge_score.tokenize import tokenize

from harness.metrics import porter

KINDS = ("rouge1", "rouge2", "rougeL", "rougeLsum")
BITS = 21
"""A token's number takes this many bits: there are fewer than 2^21 characters."""
ONE = np.uint64(1)
SIDES = (np.uint64(0), ONE)
MOST_PAIRS = 1 << 12
"""Pairs that are scored together; with a bigram their number fits into 64 bits."""
MOST_WORDS = 1 << 16
"""Words that are remembered; then they are forgotten, so that memory does not grow with the texts."""
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Lines = list[str]
"""A text: each of its lines as a string with a character for each token."""


class Alphabet(dict[str, str]):
    """Words as they stand between blanks, and their tokens as characters, found when first asked for.

    Args:
        stemmer: whether tokens are stemmed, as rouge_score's Porter stemmer does.

    Raises:
        ValueError: there are more tokens than characters.
    """

    def __init__(self, *, stemmer: bool) -> None:
        super().__init__()
        self._stemmer = porter if stemmer else None
        self._characters: dict[str, str] = {}

    def __missing__(self, word: str) -> str:
        lower, characters = word.lower(), self._characters
        if lower != word:
            self[word] = self[lower]
            return self[word]
        for token in (tokens := tokenize(word, self._stemmer)):
            characters.setdefault(token, chr(len(characters)))
        self[word] = "".join([characters[token] for token in tokens])
        return self[word]

    def spell(self, text: str) -> Lines:
        """The lines of a text that hold a token."""
        find = self.__getitem__
        return [line for said in text.split("\n") if (line := "".join(map(find, said.split())))]

    def forget_if_full(self) -> None:
        """Start again where there are too many words; what was spelled before means nothing any more."""
        if max(len(self), len(self._characters)) > MOST_WORDS:
            self.clear()
            self._characters.clear()


def score_pairs(texts: Sequence[str], targets: Sequence[str], alphabet: Alphabet) -> Floats:
    """Score each text against its target.

    Args:
        texts: what was written.
        targets: what it is compared with, one for each text.
        alphabet: spells them.

    Returns:
        (pairs, kinds) float64, the F-measures of ROUGE-1, 2, L and Lsum, 0 to 1.

    Raises:
        ValueError: the texts hold more different tokens than there are characters, 1,114,112.

    Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries"; what it leaves open as in rouge_score.
    """
    parts = range(0, len(texts), MOST_PAIRS)
    scored = [_score_part(texts[at : at + MOST_PAIRS], targets[at : at + MOST_PAIRS], alphabet) for at in parts]
    return np.concatenate([np.zeros((0, len(KINDS))), *scored])


def _score_part(texts: Sequence[str], targets: Sequence[str], alphabet: Alphabet) -> Floats:
    alphabet.forget_if_full()
    ours, theirs = ([alphabet.spell(text) for text in side] for side in (texts, targets))
    our, their = (["".join(lines) for lines in side] for side in (ours, theirs))
    sizes, wanted = _lengths(our), _lengths(their)
    longest = cpdist(our, their, scorer=LCSseq.similarity, dtype=np.int64)
    # Of one line each, the union of the subsequences is the one subsequence.
    several = [len(lines) > 1 or len(target_lines) > 1 for lines, target_lines in zip(ours, theirs, strict=True)]
    united = [_unite(*pair) if more else "" for *pair, more in zip(ours, theirs, several, strict=True)]
    # As in ROUGE-1.5.5, no token is hit more often than it was written.
    hits = np.where(several, _count_shared(our, united, 1), longest)
    columns = [_measure(_count_shared(our, their, size), sizes - size + 1, wanted - size + 1) for size in (1, 2)]
    columns += [_measure(shared, sizes, wanted) for shared in (longest, hits)]
    return np.stack(columns, axis=1)


def _lengths(texts: Sequence[str]) -> Ints:
    return np.fromiter(map(len, texts), np.int64, len(texts))


def _measure(shared: Ints, made: Ints, wanted: Ints) -> Floats:
    """The F-measures; the order of the operations is rouge_score's, so that the last bit is."""
    precision, recall = shared / np.maximum(made, 1), shared / np.maximum(wanted, 1)
    both = precision + recall
    return np.divide(2 * precision * recall, both, out=np.zeros(len(shared)), where=both > 0)


def _count_shared(our: Sequence[str], their: Sequence[str], size: int) -> Ints:
    """How many n-grams each pair shares; one that occurs twice in both counts twice."""
    sides = [_number_grams(side, size) << ONE | number for number, side in zip(SIDES, (our, their), strict=True)]
    grams, counts = np.unique(np.concatenate(sides), return_counts=True)
    # Sorted, a gram of ours stands right before the same gram of theirs, and differs from it in the last bit.
    both = np.flatnonzero(grams[1:] ^ grams[:-1] == ONE)
    shared = np.minimum(counts[both], counts[both + 1])
    pairs = (grams[both] >> np.uint64(2 * BITS + 1)).astype(np.int64)
    return np.bincount(pairs, shared, len(our)).astype(np.int64)


def _number_grams(texts: Sequence[str], size: int) -> NDArray[np.uint64]:
    """Every n-gram as one number: pair and tokens."""
    tokens = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), "<u4").astype(np.uint64)
    numbers = np.repeat(np.arange(len(texts), dtype=np.uint64), _lengths(texts))
    if size == 1:
        return numbers << np.uint64(2 * BITS) | tokens
    inside = numbers[1:] == numbers[:-1]
    grams = numbers[1:] << np.uint64(2 * BITS) | tokens[:-1] << np.uint64(BITS) | tokens[1:]
    return np.asarray(grams[inside])


def _unite(lines: Lines, target_lines: Lines) -> str:
    """The tokens of each target line that lie on its longest common subsequence with any line.

    Source: Lin 2004, section 3.2.
    """
    places = [_find_places(line) for line in lines]
    united = ""
    for target in target_lines:
        found = {place for line, where in zip(lines, places, strict=True) for place in _follow(target, line, where)}
        united += "".join([target[place] for place in found])
    return united


def _find_places(line: str) -> dict[str, int]:
    """For each token the bits of its places."""
    places: dict[str, int] = {}
    for at, token in enumerate(line):
        places[token] = places.get(token, 0) | 1 << at
    return places


def _follow(target: str, line: str, places: dict[str, int]) -> list[int]:
    """The places in ``target`` of the longest common subsequence that rouge_score finds; there may be others.

    The table of lengths is kept as a number a row: a bit is set where the length does not rise. A row whose token is
    not in the line equals the one above it. Going back, rouge_score takes each match it meets; it leaves a row
    where the row above has the same length, and else goes left, up to the next match, as only one can have raised it.

    Source: Hyyrö 2004, "Bit-Parallel LCS-length Computation Revisited".
    """
    shared = [(place, places[token]) for place, token in enumerate(target) if token in places]
    if len(shared) < 2:  # noqa: PLR2004 - one token alone is the whole subsequence
        return [place for place, _ in shared]
    full = row = (1 << len(line)) - 1
    table = []
    for place, matches in shared:
        above, met = row, row & matches
        row = ((above + met) | (above - met)) & full
        table.append((place, matches, above, row))
    end, found = len(line), []
    for place, matches, above, row in reversed(table):
        inside = (1 << end) - 1
        nearest = (matches & inside).bit_length()
        if nearest and (nearest == end or (row & inside).bit_count() < (above & inside).bit_count()):
            found.append(place)
            end = nearest - 1
    return found
