"""The own Porter stemmer: letter for letter what NLTK's gives, which rouge_score stems with."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from nltk.stem.porter import PorterStemmer

from harness.metrics.porter import stem

BY_NLTK = PorterStemmer()
ENDINGS = [
    *("sses", "ies", "ss", "s", "ied", "eed", "ed", "ing", "at", "bl", "iz", "y", "ll", "e", "l", "z"),
    *("ational", "tional", "enci", "anci", "izer", "bli", "abli", "alli", "entli", "eli", "ousli", "ization", "ation"),
    *("ator", "alism", "iveness", "fulness", "ousness", "aliti", "iviti", "biliti", "fulli", "logi"),
    *("icate", "ative", "alize", "iciti", "ical", "ful", "ness"),
    *("al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "sion", "tion", "ion", "ou"),
    *("ism", "ate", "iti", "ous", "ive", "ize"),
]
BEGINNINGS = st.text("abeiouyystlwxz0", max_size=6)
WORDS = st.builds(lambda begin, ends: begin + "".join(ends), BEGINNINGS, st.lists(st.sampled_from(ENDINGS), max_size=3))


@given(WORDS | st.text("abcdefghijklmnopqrstuvwxyz0123456789", max_size=20))
@example("")
@example("skies")
@example("news")
@example("yyyyyyyed")
@example("dallied")
@example("geologi")
@example("oed")
@example("y" * 2000)
def test_every_word_is_stemmed_as_nltk_stems_it(word: str) -> None:
    """Words of many endings, of letters and digits as a token has them, short and long."""
    assert stem(word) == BY_NLTK.stem(word)


@pytest.mark.parametrize("begin", ["", "a", "b", "ab", "aba", "ababa", "ay", "syz", "w", "bow", "hop", "x0"])
def test_every_ending_is_taken_off_as_nltk_takes_it_off(begin: str) -> None:
    """Each pair of endings behind beginnings of every measure."""
    words = [begin + first + second for first in ["", *ENDINGS] for second in ["", *ENDINGS]]
    assert [(word, stem(word)) for word in words] == [(word, BY_NLTK.stem(word)) for word in words]


def test_the_words_of_real_summaries_are_stemmed_as_nltk_stems_them(shared_data: Path) -> None:
    """Every word of XSum's test references."""
    packed = (shared_data / "xsum-system-outputs" / "gold-test-sentences.txt.gz").read_bytes()
    words = sorted(set(re.findall("[a-z0-9]+", gzip.decompress(packed).decode("utf-8").lower())))
    assert len(words) > 10_000
    assert [(word, stem(word)) for word in words if stem(word) != BY_NLTK.stem(word)] == []


def test_rouge_loads_no_nltk() -> None:
    """NLTK takes longer to load than many a set takes to score."""
    script = (
        "import sys; from harness.metrics.fast_rouge import Alphabet, score_pairs\n"
        "score_pairs(['running cats'], ['cats ran'], Alphabet(stemmer=True)); print('nltk' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
