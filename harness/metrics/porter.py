"""Porter's stemmer with NLTK's extensions, which rouge_score stems by, letter for letter.

NLTK takes more than a second to load, and longer to stem a word than all the rest of its scoring takes.
Source: Porter 1980, "An algorithm for suffix stripping"; the extensions as in NLTK's ``PorterStemmer``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

IRREGULAR = {
    "skies": "sky",
    "sky": "sky",
    "dying": "die",
    "lying": "lie",
    "tying": "tie",
    "news": "news",
    "innings": "inning",
    "inning": "inning",
    "outings": "outing",
    "outing": "outing",
    "cannings": "canning",
    "canning": "canning",
    "howe": "howe",
    "proceed": "proceed",
    "exceed": "exceed",
    "succeed": "succeed",
}
SHORT = 2
"""Words of so few letters stay as they are."""
RUN_OF_Y = re.compile("y+")
KINDS = str.maketrans(dict.fromkeys("bcdfghjklmnpqrstvwxz0123456789", "c") | dict.fromkeys("aeiou", "v"))
Rules = Mapping[str, str]
DERIVED: Rules = {
    "ational": "ate",
    "tional": "tion",
    "enci": "ence",
    "anci": "ance",
    "izer": "ize",
    "bli": "ble",
    "alli": "al",
    "entli": "ent",
    "eli": "e",
    "ousli": "ous",
    "ization": "ize",
    "ation": "ate",
    "ator": "ate",
    "alism": "al",
    "iveness": "ive",
    "fulness": "ful",
    "ousness": "ous",
    "aliti": "al",
    "iviti": "ive",
    "biliti": "ble",
    "fulli": "ful",
    "logi": "log",
}
FORMED: Rules = {"icate": "ic", "ative": "", "alize": "al", "iciti": "ic", "ical": "ic", "ful": "", "ness": ""}
LAST = (
    *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ion", "ou", "ism", "ate"),
    *("iti", "ous", "ive", "ize"),
)


def stem(word: str) -> str:
    """The stem of a token.

    Args:
        word: small letters and digits.
    """
    if len(word) <= SHORT or word in IRREGULAR:
        return IRREGULAR.get(word, word)
    word = _take_past(_take_plural(word))
    if word.endswith("y") and len(word) > SHORT and _shape(word)[-2] == "c":
        word = word[:-1] + "i"
    word = _take_formed(_take_derived(word))
    return _take_end(_take_last(word))


def _shape(word: str) -> str:
    """A ``c`` for each consonant and a ``v`` for each vowel; a y behind a consonant is a vowel."""
    return RUN_OF_Y.sub(_alternate, word.translate(KINDS))


def _alternate(run: re.Match[str]) -> str:
    """The kinds of a run of y."""
    before = run.string[max(0, run.start() - 1) : run.start()]
    return (("vc" if before == "c" else "cv") * len(run[0]))[: len(run[0])]


def _measure(word: str) -> int:
    """Porter's m: how often a consonant follows a vowel."""
    return _shape(word).count("vc")


def _is_short(word: str) -> bool:
    """Whether a word ends consonant, vowel, consonant, the last of them not w, x or y; or is vowel and consonant."""
    shape = _shape(word)
    return shape == "vc" or (shape.endswith("cvc") and word[-1] not in "wxy")


def _take_plural(word: str) -> str:
    """Step 1a."""
    if word.endswith("ies"):
        return word[:-1] if len(word) == len("dies") else word[:-2]
    if word.endswith("sses"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _take_past(word: str) -> str:
    """Step 1b."""
    if word.endswith("ied"):
        return word[:-1] if len(word) == len("died") else word[:-2]
    if word.endswith("eed"):
        return word[:-1] if _measure(word[:-3]) else word
    if not word.endswith(("ed", "ing")):
        return word
    return _mend_end(word, word[:-2] if word.endswith("ed") else word[:-3])


def _mend_end(word: str, rest: str) -> str:
    """What is left of a word without its "ed" or "ing", as it is written alone; the word itself if no vowel is left."""
    shape = _shape(rest)
    if "v" not in shape:
        return word
    if rest.endswith(("at", "bl", "iz")):
        return rest + "e"
    if shape.endswith("c") and rest[-1:] == rest[-2:-1]:
        return rest if rest[-1] in "lsz" else rest[:-1]
    return rest + "e" if shape.count("vc") == 1 and _is_short(rest) else rest


def _longest(suffixes: Iterable[str]) -> Callable[[str], re.Match[str] | None]:
    """Finds the longest of some suffixes that a word ends with."""
    return re.compile(f"(?:{'|'.join(suffixes)})\\Z").search


_find_derived, _find_formed, _find_last = map(_longest, (DERIVED, FORMED, LAST))


def _take_derived(word: str) -> str:
    """Step 2."""
    found = _find_derived(word)
    if found is None:
        return word
    suffix, rest = found[0], word[: found.start()]
    # The l of "logi" counts as a part of what stands before it.
    if not _measure(rest + "l" * (suffix == "logi")):
        return word
    shorter = rest + DERIVED[suffix]
    return _take_derived(shorter) if suffix == "alli" else shorter


def _take_formed(word: str) -> str:
    """Step 3."""
    found = _find_formed(word)
    return word[: found.start()] + FORMED[found[0]] if found and _measure(word[: found.start()]) else word


def _take_last(word: str) -> str:
    """Step 4."""
    found = _find_last(word)
    if found is None:
        return word
    rest = word[: found.start()]
    return rest if _measure(rest) > 1 and (found[0] != "ion" or rest[-1] in "st") else word


def _take_end(word: str) -> str:
    """Step 5."""
    if word.endswith("e"):
        rest = word[:-1]
        measure = _measure(rest)
        if measure > 1 or (measure == 1 and not _is_short(rest)):
            word = rest
    return word[:-1] if word.endswith("ll") and _measure(word[:-1]) > 1 else word
