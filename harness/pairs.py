"""Several tuned models on the same rows: which of them really differ, of all pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from harness.arm import Arm
from harness.config import GateSettings
from harness.differences import find_differences
from harness.errors import UsageError
from harness.statistics import SHARES, Evidence, is_yes_no


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two of several candidates, by one metric, in the metric's unit.

    Args:
        one: the name of a candidate.
        other: the name of another.
        delta: the mean of ``one`` less that of ``other``.
        low: lower end of the interval of ``delta`` (of this pair alone, at the gate's level).
        high: upper end.
        p: two-sided p-value, adjusted for all pairs.
        better: which of the two is really better; nothing where the rows do not tell them apart.
    """

    one: str
    other: str
    delta: float
    low: float
    high: float
    p: float
    better: str | None


def compare_pairs(candidates: Mapping[str, Sequence[Arm]], metric: str, settings: GateSettings) -> tuple[Pair, ...]:
    """Compare each candidate with each other, all pairs tested together.

    The pairs take the place of several metrics: one set of sign flips serves them all, and each p-value is the share of
    flips whose largest statistic over *all* pairs reaches it. So the level is that of finding any difference where
    there is none, however many candidates there are (Westfall and Young 1993, section 2.5).

    Args:
        candidates: name to the arms of its seeds, as many for each and over the same rows.
        metric: the score to compare by.
        settings: level and flips.

    Raises:
        UsageError: two of them cannot be compared.
    """
    if len(candidates) < 2:  # noqa: PLR2004 - a pair
        return ()
    for one, other in combinations(candidates, 2):
        _require_comparable(one, candidates[one], other, candidates[other])
    falls = metric in next(iter(candidates.values()))[0].manifest.lower_is_better
    of_set = SHARES in next(iter(candidates.values()))[0].manifest.metrics[metric]
    scores = {name: _stack(arms, metric) for name, arms in candidates.items()}
    return compare_scores(scores, settings, falls=falls, of_set=of_set)


def compare_scores(
    scores: Mapping[str, NDArray[np.float64]], settings: GateSettings, *, falls: bool, of_set: bool = False
) -> tuple[Pair, ...]:
    """Compare each candidate with each other by a score of every row, all pairs tested together.

    Args:
        scores: name to (rows, seeds) float64, over the same rows.
        settings: level and flips.
        falls: whether less is better.
        of_set: whether the scores are jackknife shares.
    """
    names = list(combinations(scores, 2))
    if not names:
        return ()
    evidence = Evidence(
        deltas=np.stack([scores[one] - scores[other] for one, other in names], axis=2),
        yes_no=tuple(is_yes_no(scores[one], scores[other]) for one, other in names),
        level=settings.level,
        flips=settings.flips,
        of_set=(of_set,) * len(names),
    )
    found = []
    for number, ((one, other), p) in enumerate(zip(names, evidence.p_values("two-sided"), strict=True)):
        delta = float(evidence.by_row[:, number].mean())
        low, high = evidence.interval(number)
        better = one if (delta < 0) == falls else other
        found.append(
            Pair(
                one=one,
                other=other,
                delta=delta,
                low=low,
                high=high,
                p=p,
                better=better if p <= settings.level else None,
            )
        )
    return tuple(found)


def _stack(arms: Sequence[Arm], metric: str) -> NDArray[np.float64]:
    """(rows, seeds) float64."""
    return np.hstack([arm.score_matrix((metric,)) for arm in arms])


def _require_comparable(one: str, ours: Sequence[Arm], other: str, theirs: Sequence[Arm]) -> None:
    differences = [entry for pair in zip(ours, theirs, strict=False) for entry in find_differences(*pair)]
    if len(ours) != len(theirs):
        differences.append(f"number of seeds ({len(ours)} against {len(theirs)})")
    if differences:
        raise UsageError(
            f"{one} and {other} cannot be compared: different {'; '.join(dict.fromkeys(differences))}.",
            fix="Run both on the same rows, with the same settings of encoding and generation.",
        )
