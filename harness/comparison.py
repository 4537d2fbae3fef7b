"""Arm against arm: deltas of each metric over the same rows, and what they amount to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from harness.arm import Arm, Manifest
from harness.config import GateSettings
from harness.statistics import confidence_interval, detectable_effect, sign_flip_test
from harness.views import VIEWS


class Outcome(StrEnum):
    """What a comparison amounts to."""

    IMPROVED = "improved"
    """At least one metric rose detectably, and none fell."""
    REGRESSED = "regressed"
    """At least one metric fell detectably."""
    NO_CHANGE = "no change"
    """No detectable difference, and the intervals exclude one that matters."""
    INCONCLUSIVE = "inconclusive"
    """No detectable difference, but the intervals do not exclude one that matters: too few rows."""
    NOT_COMPARABLE = "not comparable"
    """The arms differ in their rows, settings or metrics."""
    IDENTICAL = "identical"
    """All outputs are equal."""


@dataclass(frozen=True, kw_only=True)
class MetricDelta:
    """One metric in two arms; all in the metric's unit (percent points for ROUGE).

    Args:
        metric: its name.
        against: mean of the arm that the candidate is compared with.
        candidate: mean of the candidate.
        delta: candidate less the other.
        low: lower end of the 95 % interval of ``delta`` (of this metric alone; the level is the gate's).
        high: upper end.
        p: two-sided p-value, adjusted for all metrics.
        detectable: the smallest true difference these rows show with 80 % power.
    """

    metric: str
    against: float
    candidate: float
    delta: float
    low: float
    high: float
    p: float
    detectable: float


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two arms over the same rows.

    Args:
        title: which arms, as "tuned vs base".
        outcome: what it amounts to.
        rows: how many rows were paired.
        changed: how many of their outputs differ.
        metrics: each metric's delta; empty where the arms are not comparable.
        differences: why the arms are not comparable, or nothing.
        circumstances: which training settings, versions and devices differ; they may explain a difference.
        same_weights: whether both arms come from the same weights.
        deltas: (rows, metrics) float64, candidate less the other.
        critical: the critical value of the test.
    """

    title: str
    outcome: Outcome
    rows: int
    changed: int
    metrics: tuple[MetricDelta, ...]
    differences: tuple[str, ...]
    circumstances: tuple[str, ...]
    same_weights: bool
    deltas: NDArray[np.float64]
    critical: float

    def _repr_html_(self) -> str:
        """How it shows itself in a notebook."""
        return VIEWS["comparison"](self)

    def column(self, metric: str) -> NDArray[np.float64]:
        """The deltas of one metric: (rows,) float64."""
        names = [entry.metric for entry in self.metrics]
        column: NDArray[np.float64] = self.deltas[:, names.index(metric)]
        return column


def compare(candidate: Arm, against: Arm, settings: GateSettings, *, title: str) -> Comparison:
    """Compare two arms row by row."""
    differences = _find_differences(candidate, against)
    circumstances = _find_circumstances(candidate, against)
    same_weights = candidate.manifest.model.weights == against.manifest.model.weights
    if differences:
        return Comparison(
            title=title,
            outcome=Outcome.NOT_COMPARABLE,
            rows=0,
            changed=0,
            metrics=(),
            differences=differences,
            circumstances=circumstances,
            same_weights=same_weights,
            deltas=np.zeros((0, 0)),
            critical=float("inf"),
        )
    names = tuple(candidate.manifest.metrics)
    deltas = candidate.score_matrix(names) - against.score_matrix(names)
    test = sign_flip_test(deltas, alternative="two-sided", level=settings.level, flips=settings.flips)
    detectable = detectable_effect(deltas, test.critical)
    metrics = []
    for column, name in enumerate(names):
        low, high = confidence_interval(deltas[:, column], level=settings.level, flips=settings.flips)
        metrics.append(
            MetricDelta(
                metric=name,
                against=against.manifest.scores[name],
                candidate=candidate.manifest.scores[name],
                delta=float(deltas[:, column].mean()),
                low=low,
                high=high,
                p=test.p[column],
                detectable=detectable[column],
            )
        )
    changed = sum(one.output != other.output for one, other in zip(candidate.rows, against.rows, strict=True))
    return Comparison(
        title=title,
        outcome=_judge(metrics, changed, settings),
        rows=len(deltas),
        changed=changed,
        metrics=tuple(metrics),
        differences=(),
        circumstances=circumstances,
        same_weights=same_weights,
        deltas=deltas,
        critical=test.critical,
    )


def _judge(metrics: list[MetricDelta], changed: int, settings: GateSettings) -> Outcome:
    if changed == 0:
        return Outcome.IDENTICAL
    found = [entry for entry in metrics if entry.p <= settings.level]
    if any(entry.delta < 0 for entry in found):
        return Outcome.REGRESSED
    if found:
        return Outcome.IMPROVED
    effect = settings.smallest_effect
    excluded = all(-effect < entry.low and entry.high < effect for entry in metrics)
    return Outcome.NO_CHANGE if excluded else Outcome.INCONCLUSIVE


def _find_differences(candidate: Arm, against: Arm) -> tuple[str, ...]:
    """Why two arms cannot be compared."""
    ours, theirs = candidate.manifest.comparable, against.manifest.comparable
    found = [] if candidate.rows and against.rows else ["rows (one of the arms has none)"]
    for name, value in ours.items():
        if value == theirs[name]:
            continue
        if isinstance(value, dict) and isinstance(other := theirs[name], dict):
            parts = [
                f"{key}: {value.get(key)} against {other.get(key)}"
                for key in sorted({*value, *other})
                if value.get(key) != other.get(key)
            ]
            found.append(f"{name} ({'; '.join(parts)})")
        else:
            shared = len({(row.id, row.hash) for row in candidate.rows} & {(row.id, row.hash) for row in against.rows})
            found.append(f"{name} ({shared} of {len(candidate.rows)} rows are the same)")
    return tuple(found)


def _describe_training(manifest: Manifest) -> dict[str, str]:
    rows = (manifest.train_rows or "")[:8]
    settings = {name: str(value) for name, value in manifest.training.items()}
    return {"method": str(manifest.method), "training rows": rows, **settings}


def _find_circumstances(candidate: Arm, against: Arm) -> tuple[str, ...]:
    """What differs of all that was not asked to be equal; nothing of the training where only one arm was trained."""
    ours, theirs = candidate.manifest, against.manifest
    pairs = [(ours.environment, theirs.environment)]
    if ours.training and theirs.training:
        pairs.append((_describe_training(ours), _describe_training(theirs)))
    return tuple(
        f"{name} {then.get(name, 'none')} → {now.get(name, 'none')}"
        for now, then in pairs
        for name in sorted({*now, *then})
        if now.get(name) != then.get(name)
    )
