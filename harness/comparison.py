"""Arm against arm: deltas of each metric over the same rows, and what they amount to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from harness.arm import Arm
from harness.config import GateSettings
from harness.differences import find_circumstances, find_differences
from harness.statistics import SHARES, Evidence, are_alike, can_decide, is_yes_no
from harness.views import VIEWS


class Outcome(StrEnum):
    """What a comparison amounts to."""

    IMPROVED = "improved"
    """At least one metric rose detectably, and none fell."""
    REGRESSED = "regressed"
    """At least one metric fell detectably; this is asked one-sided, so it is seen sooner than a gain."""
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
        candidate: mean of the candidate; of all its seeds where it was trained with several.
        delta: candidate less the other.
        low: lower end of the 95 % interval of ``delta`` (of this metric alone; the level is the gate's).
        high: upper end.
        p: two-sided p-value, adjusted for all metrics.
        p_worse: one-sided p-value of a loss, adjusted for all metrics.
        detectable: the smallest true difference these rows show with 80 % power.
        by_seed: ``delta`` of each seed, in the order of the seeds.
        lower_is_better: whether a fall is a gain.
        relative: whether the metric knows no percent points, so that a point is a percent of ``against``.
    """

    metric: str
    against: float
    candidate: float
    delta: float
    low: float
    high: float
    p: float
    p_worse: float
    detectable: float
    by_seed: tuple[float, ...]
    lower_is_better: bool = False
    relative: bool = False

    @property
    def point(self) -> float:
        """How much one point is in the metric's unit."""
        return size_point(self.against) if self.relative else 1.0

    @property
    def gain(self) -> float:
        """How much better the candidate is."""
        return -self.delta if self.lower_is_better else self.delta

    @property
    def gain_interval(self) -> tuple[float, float]:
        """The interval of `gain`."""
        return (-self.high, -self.low) if self.lower_is_better else (self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Two arms over the same rows.

    Args:
        title: which arms, as "tuned vs base".
        outcome: what it amounts to.
        changed: in how many rows an output differs.
        metrics: each metric's delta; empty where the arms are not comparable.
        differences: why the arms are not comparable, or nothing.
        circumstances: which training settings, versions and devices differ; they may explain a difference.
        same_weights: whether both arms come from the same weights.
        evidence: the gains of each row and their tests; empty where the arms are not comparable.
    """

    title: str
    outcome: Outcome
    changed: int
    metrics: tuple[MetricDelta, ...]
    differences: tuple[str, ...]
    circumstances: tuple[str, ...]
    same_weights: bool
    evidence: Evidence

    @property
    def rows(self) -> int:
        """How many rows were paired."""
        return self.evidence.rows

    @property
    def seeds(self) -> int:
        """How many seeds of training were compared."""
        return self.evidence.seeds

    @property
    def gains(self) -> NDArray[np.float64]:
        """(rows, metrics) float64, how much better the candidate is; the mean over the seeds."""
        return self.evidence.by_row

    def _repr_html_(self) -> str:
        """How it shows itself in a notebook."""
        return VIEWS["comparison"](self)

    def column(self, metric: str) -> NDArray[np.float64]:
        """The gains of one metric: (rows,) float64."""
        column: NDArray[np.float64] = self.gains[:, self.position(metric)]
        return column

    def position(self, metric: str) -> int:
        """Which of the metrics has this name."""
        return [entry.metric for entry in self.metrics].index(metric)


def compare(
    candidate: Arm | Sequence[Arm], against: Arm | Sequence[Arm], settings: GateSettings, *, title: str
) -> Comparison:
    """Compare two arms row by row.

    Args:
        candidate: the arm being judged, or one arm for each seed of its training.
        against: the other arm, or as many arms as the candidate has.
        settings: level, flips, and the smallest effect that matters.
        title: which arms these are.
    """
    ours = [candidate] if isinstance(candidate, Arm) else list(candidate)
    theirs = [against] if isinstance(against, Arm) else list(against)
    if len(theirs) == 1:
        theirs *= len(ours)
    pairs = list(zip(ours, theirs, strict=False))
    differences = tuple(dict.fromkeys(entry for pair in pairs for entry in find_differences(*pair)))
    if len(ours) != len(theirs):
        differences = (f"number of seeds ({len(ours)} against {len(theirs)})", *differences)
    names = () if differences else tuple(ours[0].manifest.metrics)
    evidence = _weigh(pairs, names, settings)
    metrics = _describe_metrics(names, pairs, evidence)
    changed = 0 if differences else _count_changed(pairs)
    return Comparison(
        title=title,
        outcome=Outcome.NOT_COMPARABLE if differences else _judge(metrics, changed, settings),
        changed=changed,
        metrics=metrics,
        differences=differences,
        circumstances=tuple(dict.fromkeys(entry for pair in pairs for entry in find_circumstances(*pair))),
        same_weights=all(one.manifest.model.weights == other.manifest.model.weights for one, other in pairs),
        evidence=evidence,
    )


def say_power(comparison: Comparison, effect: float) -> str:
    """The first question, answered: can this many rows decide?"""
    evidence = comparison.evidence
    if not can_decide(evidence.rows, evidence.level):
        return f"{evidence.rows} row{'s' * (evidence.rows != 1)} can decide nothing at a level of {evidence.level:g}"
    points = [entry.point for entry in comparison.metrics]
    worst = max((found / point for found, point in zip(evidence.detectable, points, strict=True)), default=math.inf)
    if not math.isfinite(worst):
        return _say_unknown(comparison)
    seen = f"{evidence.rows} rows show a difference of {worst:.2f} points or more in every metric"
    sought = f"{effect:g} point{'s' * (effect != 1)}"
    if worst <= effect:
        return f"{seen}: enough to see {sought}"
    needed = [evidence.rows_needed(metric, effect * point) for metric, point in enumerate(points)]
    if None in needed:
        return f"{seen}; to see {sought}, {evidence.seeds} seeds are too few, however many rows there are"
    return f"{seen}; to see {sought} would take about {max(entry for entry in needed if entry):,} rows"


def align_metrics(metrics: Sequence[MetricDelta]) -> list[str]:
    """A line for each metric, from what to what and by how much, with the numbers below one another."""
    name = max((len(entry.metric) for entry in metrics), default=0)
    return [
        f"{entry.metric:{name}} {entry.against:8.2f} → {entry.candidate:8.2f}  {entry.delta:+9.2f}" for entry in metrics
    ]


def _say_unknown(comparison: Comparison) -> str:
    """Why it is not known how small a difference the rows would show."""
    evidence = comparison.evidence
    alike = [entry.metric for entry in comparison.metrics if are_alike(comparison.column(entry.metric))]
    if not alike:
        return f"{evidence.rows} rows are too few to say how small a difference they would show"
    moved = f"all rows have the same delta in {', '.join(alike)}" if evidence.deltas.any() else "no score moved"
    return f"{evidence.rows} rows, and {moved}: how small a difference they would show is not known"


def _weigh(pairs: Sequence[tuple[Arm, Arm]], names: tuple[str, ...], settings: GateSettings) -> Evidence:
    """The gains as (rows, seeds, metrics): candidate less the other, or the other way where less is better."""
    if not names:
        return Evidence(deltas=np.zeros((0, len(pairs), 0)), yes_no=(), level=settings.level, flips=settings.flips)
    gains, yes_no = zip(*(_subtract(*pair, names) for pair in pairs), strict=True)
    return Evidence(
        deltas=np.stack(gains, axis=1),
        yes_no=tuple(map(all, zip(*yes_no, strict=True))),
        level=settings.level,
        flips=settings.flips,
        points=_size_points(names, pairs),
        of_set=tuple(SHARES in pairs[0][0].manifest.metrics[name] for name in names),
    )


def _subtract(one: Arm, other: Arm, names: tuple[str, ...]) -> tuple[NDArray[np.float64], tuple[bool, ...]]:
    """The gains of one seed as (rows, metrics), and which metrics are of yes and no; no score stays in memory."""
    ours, theirs = one.score_matrix(names), other.score_matrix(names)
    yes_no = tuple(is_yes_no(ours[:, metric], theirs[:, metric]) for metric in range(len(names)))
    ours -= theirs
    ours *= [-1.0 if name in one.manifest.lower_is_better else 1.0 for name in names]
    return ours, yes_no


def size_point(against: float) -> float:
    """A percent of a score; of 0 there is none, and a point is 1."""
    return abs(against) / 100 or 1.0


def _size_points(names: Sequence[str], pairs: Sequence[tuple[Arm, Arm]]) -> tuple[float, ...]:
    """For each metric what a point of difference is in its unit."""
    theirs, relative = [other for _, other in pairs], pairs[0][0].manifest.relative
    return tuple(size_point(_mean_score(name, theirs)) if name in relative else 1.0 for name in names)


def _mean_score(name: str, arms: Sequence[Arm]) -> float:
    return sum(arm.manifest.scores[name] for arm in arms) / len(arms)


def _describe_metrics(
    names: Sequence[str], pairs: Sequence[tuple[Arm, Arm]], evidence: Evidence
) -> tuple[MetricDelta, ...]:
    if not names:
        return ()
    either, worse = evidence.p_values("two-sided"), evidence.p_values("less")
    described = []
    for number, name in enumerate(names):
        falls = name in pairs[0][0].manifest.lower_is_better
        low, high = evidence.interval(number)
        by_seed = evidence.deltas[:, :, number].mean(axis=0)
        if falls:
            low, high, by_seed = -high, -low, -by_seed
        described.append(
            MetricDelta(
                metric=name,
                against=_mean_score(name, [other for _, other in pairs]),
                candidate=_mean_score(name, [one for one, _ in pairs]),
                delta=float(by_seed.mean()),
                low=low,
                high=high,
                p=either[number],
                p_worse=worse[number],
                detectable=evidence.detectable[number],
                by_seed=tuple(by_seed.tolist()),
                lower_is_better=falls,
                relative=name in pairs[0][0].manifest.relative,
            )
        )
    return tuple(described)


def _count_changed(pairs: Sequence[tuple[Arm, Arm]]) -> int:
    """In how many rows any seed says something else than its counterpart."""
    changes = [_list_changes(one, other) for one, other in pairs]
    return sum(any(row) for row in zip(*changes, strict=True))


def _list_changes(one: Arm, other: Arm) -> Iterator[bool]:
    return (ours.output != theirs.output for ours, theirs in zip(one.rows, other.rows, strict=True))


def _judge(metrics: Sequence[MetricDelta], changed: int, settings: GateSettings) -> Outcome:
    if changed == 0:
        return Outcome.IDENTICAL
    if any(entry.p_worse <= settings.level for entry in metrics):
        return Outcome.REGRESSED
    if any(entry.p <= settings.level and entry.gain > 0 for entry in metrics):
        return Outcome.IMPROVED
    effect = settings.smallest_effect
    excluded = all(max(-entry.low, entry.high) < effect * entry.point for entry in metrics)
    return Outcome.NO_CHANGE if excluded else Outcome.INCONCLUSIVE
