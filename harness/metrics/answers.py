"""Exact match and F1 of answers, by the rules of SQuAD."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.rows import Row
from harness.metrics.metric import Metric, Output

PUNCTUATION = str.maketrans("", "", string.punctuation)


@dataclass(frozen=True)
class Answers(Metric):
    """The best match with any of a row's references, in percent points; the reference "" means that there is no answer.

    These are the rules of SQuAD 2.0. Those of 1.1 give the same number wherever output and references have a word left
    once case, punctuation and articles are gone. Where nothing is left they differ: 2.0 takes such an output for "no
    answer", which is right where the row has none, and passes over such a reference where the row has others; 1.1 knows
    no such rows, and gives them F1 0 beside exact match 100.

    Source: Rajpurkar et al. 2016, "SQuAD: 100,000+ Questions for Machine Comprehension of Text", section 6.1;
    Rajpurkar, Jia and Liang 2018, "Know What You Don't Know"; their evaluation scripts.
    """

    @property
    def signatures(self) -> dict[str, str]:
        """Each score's name and its signature."""
        return {name: f"{name}|rules:squad-2.0|refs:best|rows:mean|version:1" for name in ("exact_match", "f1")}

    def score(self, outputs: Sequence[Output], rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """Score each output against its references: arrays of shape (rows,), float64, 0 to 100."""
        scores = np.array(
            [best_match(output.text, row.references) for output, row in zip(outputs, rows, strict=True)],
            dtype=np.float64,
        ).reshape(-1, 2)
        return {"exact_match": scores[:, 0], "f1": scores[:, 1]}


def best_match(output: str, references: Sequence[str]) -> tuple[float, float]:
    """The best exact match and the best F1 over the references, 0 to 100 each."""
    said = normalise_answer(output)
    meant = [answer for answer in map(normalise_answer, references) if answer] or [""]
    return max(100.0 * (said == answer) for answer in meant), max(_f1(said, answer) for answer in meant)


def normalise_answer(text: str) -> str:
    """Lower case, no punctuation, no articles, single blanks."""
    bare = text.lower().translate(PUNCTUATION)
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", bare).split())


def _f1(said: str, meant: str) -> float:
    if not said or not meant:
        return 100.0 * (said == meant)
    ours, theirs = said.split(), meant.split()
    shared = (Counter(ours) & Counter(theirs)).total()
    return 200 * shared / (len(ours) + len(theirs))


ANSWERS = Answers()
