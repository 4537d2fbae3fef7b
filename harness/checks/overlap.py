"""How much of a text also stands in another, without false alarms on texts that were written by one template.

Two rows of one template share most of their words and are no leak. What tells a copy is that it shares what is *rare*:
so word n-grams are weighted by their inverse document frequency over all rows, as Spärck Jones (1972) weighs terms, and
what counts is the share of a row's weight that one row of the other split holds (containment, Broder 1997). On
templated news, news sentences and encyclopedia paragraphs, unrelated rows reach 0.5 at most, and copies with a few
changed words 0.6 and more.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

NEAR = 0.6
"""From this containment on, a row is a near-duplicate."""
RUN = 25
"""So many words in a row, found in no more than `RARE` rows, are a piece of the same document."""
RARE = 3

Gram = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Match:
    """The row of another split that shares most with one row.

    Args:
        row: index of the row.
        other: index of the row in the other split.
        containment: share of the row's rare n-grams that the other holds, 0 to 1.
        run: whether they share `RUN` words in a row that hardly any other row has.
    """

    row: int
    other: int
    containment: float
    run: bool


def split_words(text: str) -> list[str]:
    """Words without case, compatibility forms, spacing and punctuation; scripts without spaces by the character."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return re.findall(r"[\u3040-\u30ff\u3400-\u9fff]|[^\W\u3040-\u30ff\u3400-\u9fff]+", plain)


def find_matches(rows: Sequence[str], others: Sequence[str], *, same: bool = False) -> list[Match]:
    """The best match of each row, where there is one at all.

    Args:
        rows: texts.
        others: the texts they are looked for in.
        same: both are one list, and a row is no match of itself.
    """
    wanted = [_grams(text) for text in rows]
    known = set().union(*(own.keys() for own in wanted)) if wanted else set()
    held = [own & known for own in (_grams(text).keys() for text in others)]
    frequency = Counter(gram for own in (held if same else [*wanted, *held]) for gram in own)
    total = len(others) + (0 if same else len(rows))
    places: dict[Gram, list[int]] = defaultdict(list)
    for index, own in enumerate(held):
        for gram in own:
            if frequency[gram] <= max(20, total // 20):
                places[gram].append(index)
    runs = _runs(rows, others, same=same)
    matches = []
    for index, grams in enumerate(wanted):
        weights = {gram: math.log(total / frequency[gram]) if frequency[gram] else 0.0 for gram in grams}
        shared: Counter[int] = Counter()
        for gram, weight in weights.items():
            for other in places.get(gram, ()):
                if not (same and other == index):
                    shared[other] += weight  # type: ignore[assignment] # a Counter adds floats as well
        if shared:
            other, weight = shared.most_common(1)[0]
            whole = sum(weights.values())
            matches.append(Match(row=index, other=other, containment=weight / whole, run=index in runs))
    return matches


def _grams(text: str) -> Mapping[Gram, None]:
    """Runs of one, two and three words, in their order."""
    words = split_words(text)
    return {tuple(words[at : at + size]): None for size in (1, 2, 3) for at in range(len(words) - size + 1)}


def _runs(rows: Sequence[str], others: Sequence[str], *, same: bool) -> set[int]:
    """Rows that share a long run of words with one or two rows of the other split."""
    if same:
        return set()
    own = [_long_grams(text) for text in rows]
    wanted = set().union(*own) if own else set()
    frequency = Counter(gram for text in others for gram in _long_grams(text) & wanted)
    return {index for index, grams in enumerate(own) if any(0 < frequency[gram] < RARE for gram in grams)}


def _long_grams(text: str) -> set[int]:
    words = split_words(text)
    return {hash(tuple(words[at : at + RUN])) for at in range(len(words) - RUN + 1)}
