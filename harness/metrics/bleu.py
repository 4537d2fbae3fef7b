"""BLEU and chrF of a set and of each row, by sacrebleu."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import sacrebleu
from numpy.typing import NDArray
from sacrebleu.metrics.base import Metric as LibraryMetric

from harness.data.rows import Row
from harness.metrics.metric import Metric, Output
from harness.metrics.texts import have_references
from harness.statistics.jackknife import SHARES, share_of_sums

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bleu(Metric):
    """``bleu`` and ``chrf`` are scores of the set, of which each row has its jackknife share.

    ``sentence_bleu`` and ``sentence_chrf`` are means over rows; a sentence that is too short for an n-gram order is
    judged by the orders that it has. All are in percent points.

    Args:
        tokenizer: how BLEU finds words, by sacrebleu's names: "13a", "intl", "zh", "char", "none" ...

    Source: Post 2018, "A Call for Clarity in Reporting BLEU Scores"; Popović 2015, "chrF: character n-gram F-score for
    automatic MT evaluation"; Chen and Cherry 2014 for the smoothing of sentence BLEU.
    """

    tokenizer: str = "13a"

    @property
    def signatures(self) -> dict[str, str]:
        """Each score's name and its signature, sacrebleu's own within; how many references there are, the rows say."""
        signatures = {}
        for name, (of_set, of_row) in self._library().items():
            for kind, metric, means in ((name, of_set, SHARES), (f"sentence_{name}", of_row, "rows:mean")):
                metric.num_refs = -1
                options = str(metric.get_signature()).removeprefix("nrefs:var|")
                signatures[kind] = f"{kind}|{means}|{options}"
        return signatures

    def applies(self, rows: Sequence[Row]) -> bool:
        """Whether every row has a text to compare to."""
        return have_references(rows)

    def score(self, outputs: Sequence[Output], rows: Sequence[Row]) -> dict[str, Floats]:
        """Score each output against its references: arrays of shape (rows,), float64."""
        texts = [output.text for output in outputs]
        # sacrebleu takes streams: the first references of all rows, the second ones, and so on.
        streams = list(zip_longest(*(filter(None, row.references) for row in rows)))
        scores = {}
        for name, (of_set, of_row) in self._library().items():
            # sacrebleu's own paired tests start from these counts as well.
            counts = np.array(of_set._extract_corpus_statistics(texts, streams), dtype=np.float64)  # noqa: SLF001
            scores[name] = share_of_sums(counts, lambda sums, metric=of_set: _score_each(metric, sums))  # type: ignore[misc]
            scores[f"sentence_{name}"] = _score_each(of_row, counts)
        return scores

    def _library(self) -> dict[str, tuple[LibraryMetric, LibraryMetric]]:
        """For each name what scores a set and what scores a row; chrF needs no change for a row."""
        return {
            "bleu": (
                sacrebleu.BLEU(tokenize=self.tokenizer, force=True),
                sacrebleu.BLEU(tokenize=self.tokenizer, force=True, effective_order=True),
            ),
            "chrf": (sacrebleu.CHRF(), sacrebleu.CHRF()),
        }


def _score_each(metric: LibraryMetric, counts: Floats) -> Floats:
    """The score of each line of counts."""
    each: Iterable[list[float]] = counts.tolist()
    return np.array([metric._compute_score_from_stats(line).score for line in each])  # noqa: SLF001


BLEU = Bleu()
