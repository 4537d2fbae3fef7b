"""How well a model expected the targets."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.data.rows import Row
from harness.errors import DataError
from harness.metrics.metric import Metric, Output
from harness.statistics.jackknife import SHARES, share_of_sums

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Perplexity(Metric):
    """``exp(nats of all targets / tokens of all targets)``; 1 is certainty, the size of the vocabulary a blind guess.

    It is a score of the set, of which each row has its jackknife share: the mean of the rows' or batches' own
    perplexities is another number, and depends on how they are cut. Two models compare only with one tokenizer.

    Source: Jelinek et al. 1977, "Perplexity: a measure of the difficulty of speech recognition tasks".
    """

    lower_is_better = frozenset({"perplexity"})
    relative = frozenset({"perplexity"})
    compares = False

    @property
    def signatures(self) -> dict[str, str]:
        """The score's name and its signature."""
        return {"perplexity": f"perplexity|per:token|{SHARES}|version:1"}

    def score(self, outputs: Sequence[Output], rows: Sequence[Row]) -> dict[str, Floats]:
        """The share of each row: an array of shape (rows,), float64, no percent points.

        Raises:
            DataError: an output has no likelihood.
        """
        for output, row in zip(outputs, rows, strict=True):
            if not math.isfinite(output.nats) or output.tokens < 1:
                raise DataError(
                    f'Row "{row.id}" has a likelihood of {output.nats} nats over {output.tokens} tokens.',
                    why="Perplexity is computed from the likelihood of the targets, not from what was written.",
                    fix="Let the task measure the likelihood of its targets, or score it with another metric.",
                )
        counts = np.array([(output.nats, output.tokens) for output in outputs], dtype=np.float64)
        return {"perplexity": share_of_sums(counts, perplexity)}


def perplexity(sums: Floats) -> Floats:
    """From (sets, 2) float64, nats and tokens of each set, to (sets,)."""
    # A set of one row leaves no tokens without it.
    per_token: Floats = np.exp(sums[:, 0] / np.maximum(sums[:, 1], 1))
    return per_token


PERPLEXITY = Perplexity()
