"""Scores of a set that are no mean over rows, told as one number a row: each row's jackknife share.

Corpus BLEU, macro F1, entity F1, perplexity and distinct-n belong to a set of rows. The share of a row says how the
score of the set leans on it. The mean of the shares is the score of the set, so whatever works on row scores (paired
tests, intervals, stored baselines) works on shares.

Source: Tukey 1958, "Bias and confidence in not quite large samples", Annals of Mathematical Statistics 29; Miller 1974,
"The jackknife: a review", Biometrika 61.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
SHARES = "rows:jackknife"
"""What the signature of a score has where its rows carry shares."""


def share_by_row(whole: float, without: Floats) -> Floats:
    """The share of each row in the score of the set.

    Tukey's pseudo-values, moved by the jackknife's estimate of bias so that their mean is the score itself and not the
    score less its bias. Of a plain mean over rows they are the rows' own scores.

    Args:
        whole: the score of the set, in its own unit.
        without: (rows,) float64, the score of the set without each row.

    Returns:
        (rows,) float64 in the unit of the score, of which the mean is ``whole``.

    Example:
        Of a mean the shares are the values themselves:

        >>> values = np.array([1.0, 2.0, 6.0])
        >>> share_by_row(3.0, (values.sum() - values) / 2)
        array([1., 2., 6.])
    """
    shares: Floats = whole + (len(without) - 1) * (without.mean() - without)
    return shares


def share_of_sums(counts: Floats, score: Callable[[Floats], Floats]) -> Floats:
    """The share of each row in a score that is computed from counts summed up over the rows.

    Args:
        counts: (rows, ...) float64, what each row adds to the sums.
        score: from sums of shape (sets, ...) to the scores of these sets, (sets,). It has to give a finite number for
            sums of 0 as well: a set of one row leaves nothing without it.

    Returns:
        (rows,) float64, of which the mean is the score of the sums over all rows.
    """
    sums = counts.sum(axis=0)
    return share_by_row(float(score(sums[None])[0]), score(sums - counts))
