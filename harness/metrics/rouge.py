"""ROUGE-1, 2, L and Lsum of every row, as rouge_score has them."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from harness.data.rows import Row
from harness.metrics.fast_rouge import KINDS, Alphabet, score_pairs
from harness.metrics.metric import Metric, Output
from harness.metrics.texts import have_references

KNOWN_VERSIONS = {"0.1.2"}
"""The versions of rouge_score that `fast_rouge` is known to equal; another one scores by itself."""
SENTENCE_END = re.compile(r"([.!?][\"'\u201d\u2019)\]]*)\s+")
PART = 2048
"""Rows that are scored together."""


@dataclass(frozen=True)
class Rouge(Metric):
    """F-measures in percent points; the mean over rows is the score of a set, never a bootstrap.

    Of several references the best counts. Texts are split into sentences, one a line, before rougeLsum; without that
    it would equal rougeL.

    Source: Lin 2004, "ROUGE: A Package for Automatic Evaluation of Summaries".
    """

    stemmer: bool = True

    @property
    def signatures(self) -> dict[str, str]:
        """Each score's name and its signature."""
        version = importlib.metadata.version("rouge_score")
        common = f"F|stemmer:{'yes' if self.stemmer else 'no'}|refs:best|rouge_score:{version}"
        return {kind: f"{kind}|{common}{'|split:line+sentence' * (kind == 'rougeLsum')}" for kind in KINDS}

    def applies(self, rows: Sequence[Row]) -> bool:
        """Whether every row has a text to compare to."""
        return have_references(rows)

    def score(self, outputs: Sequence[Output], rows: Sequence[Row]) -> dict[str, NDArray[np.float64]]:
        """Score each output against its references: arrays of shape (rows,), float64, 0 to 100."""
        scores = np.zeros((len(outputs), len(KINDS)))
        pairs = zip(outputs, rows, strict=True)
        for start in range(0, len(outputs), PART):
            part = list(islice(pairs, PART))
            texts = [split_sentences(output.text) for output, _ in part]
            references = [[split_sentences(reference) for reference in row.references] for _, row in part]
            scores[start : start + PART] = 100 * self._measure(texts, references)
        return {kind: scores[:, column] for column, kind in enumerate(KINDS)}

    def _measure(self, texts: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """The F-measures as (texts, kinds) float64, 0 to 1; of several references the best counts."""
        if importlib.metadata.version("rouge_score") not in KNOWN_VERSIONS:
            return self._measure_by_library(texts, references)
        each = [text for text, targets in zip(texts, references, strict=True) for _ in targets]
        try:
            scored = score_pairs(each, [target for targets in references for target in targets], self._alphabet)
        except ValueError:
            return self._measure_by_library(texts, references)
        starts = np.cumsum([0, *map(len, references)])[:-1]
        best: NDArray[np.float64] = np.maximum.reduceat(scored, starts)
        return best

    def _measure_by_library(self, texts: Sequence[str], references: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        from rouge_score.rouge_scorer import RougeScorer  # noqa: PLC0415 - it loads NLTK, which takes seconds

        scorer = RougeScorer(list(KINDS), use_stemmer=self.stemmer)
        found = [scorer.score_multi(targets, text) for text, targets in zip(texts, references, strict=True)]
        return np.array([[scores[kind].fmeasure for kind in KINDS] for scores in found])

    @cached_property
    def _alphabet(self) -> Alphabet:
        return Alphabet(stemmer=self.stemmer)


def split_sentences(text: str) -> str:
    """Put each sentence on a line of its own: a line break behind ``.``, ``!`` or ``?`` and its closing quotes."""
    return SENTENCE_END.sub(_break_line, text.strip())


def _break_line(end: re.Match[str]) -> str:
    return end[1] + "\n"


ROUGE = Rouge()
