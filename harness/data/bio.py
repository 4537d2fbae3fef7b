"""Tags of scheme IOB2, one a word: which sequences are legal, which entities they mean, and how other schemes look.

``B-x`` begins an entity of type x, ``I-x`` goes on with it, ``O`` is outside. Source: Tjong Kim Sang and Veenstra 1999,
"Representing text chunks", EACL, which names the schemes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

OUTSIDE = "O"
TAG = re.compile(r"O|[BI]-\S+")
"""What a tag looks like."""
FOREIGN = {"E": "IOBES", "S": "IOBES", "L": "BILOU", "U": "BILOU", "M": "BMES"}
"""Letters that IOB2 has not, and the scheme that they tell of."""

Entity = tuple[int, int, str]
"""First word, the word behind the last, and the type."""


def may_follow(before: str, after: str) -> bool:
    """Whether ``after`` may stand next to ``before``; begin a sequence with ``before="O"``."""
    return not after.startswith("I-") or before[1:] == after[1:]


def find_break(tags: Sequence[str]) -> int | None:
    """The place of the first ``I-`` that goes on with nothing; None where all is legal."""
    pairs = enumerate(itertools.pairwise([OUTSIDE, *tags]))
    return next((place for place, (before, after) in pairs if not may_follow(before, after)), None)


def read_entities(tags: Sequence[str]) -> set[Entity]:
    """The entities of a sequence; strict: an ``I-`` that goes on with nothing is none, and ends what was before it."""
    entities = set()
    start: int | None = None
    for place, tag in enumerate([*tags, OUTSIDE]):
        if start is not None and tag != f"I-{tags[start][2:]}":
            entities.add((start, place, tags[start][2:]))
            start = None
        if tag.startswith("B-"):
            start = place
    return entities


def name_scheme(tags: Sequence[str]) -> str | None:
    """The scheme that a sequence is written in, as far as it shows; None where it fits no known one.

    What is legal in IOB2 is called so, though it may be legal in others too.
    """
    found = [FOREIGN[tag[0]] for tag in tags if tag[:1] in FOREIGN and tag[1:2] == "-"]
    if found:
        return found[0]
    if not all(map(TAG.fullmatch, tags)):
        return None
    if find_break(tags) is None:
        return "IOB2"
    # In IOB1 a B- only parts an entity from one of the same type right before it.
    pairs = itertools.pairwise([OUTSIDE, *tags])
    return "IOB1" if all(before[2:] == after[2:] for before, after in pairs if after.startswith("B-")) else None
