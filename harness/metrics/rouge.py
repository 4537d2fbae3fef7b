"""ROUGE-1, 2, L and Lsum of every row, by rouge_score."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from rouge_score.rouge_scorer import RougeScorer

from harness.data.rows import Row
from harness.metrics.metric import Metric, Output
from harness.metrics.texts import have_references

KINDS = ("rouge1", "rouge2", "rougeL", "rougeLsum")


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
        for number, (output, row) in enumerate(zip(outputs, rows, strict=True)):
            targets = [split_sentences(text) for text in row.references]
            found = self._scorer.score_multi(targets, split_sentences(output.text))
            scores[number] = [100 * found[kind].fmeasure for kind in KINDS]
        return {kind: scores[:, column] for column, kind in enumerate(KINDS)}

    @cached_property
    def _scorer(self) -> RougeScorer:
        return RougeScorer(list(KINDS), use_stemmer=self.stemmer)


def split_sentences(text: str) -> str:
    """Put each sentence on a line of its own: a line break behind ``.``, ``!`` or ``?`` and its closing quotes."""
    return re.sub(r"([.!?][\"'\u201d\u2019)\]]*)\s+", r"\1\n", text.strip())


ROUGE = Rouge()
