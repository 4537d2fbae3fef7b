"""What a strategy amounts to: average score, transfer and forgetting, each with an interval over rows and seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from harness.config import GateSettings
from harness.statistics import Evidence
from harness.statistics.transfer import (
    Way,
    before_learned,
    lost_from_best,
    lost_since,
    since_learned,
    since_the_base,
    to_the_end,
)
from harness.strategies.run import MultitaskRun

Floats = NDArray[np.float64]
Ways = Sequence[Sequence[Way]]
"""For each seed the ways through its matrix, of the same tasks in each."""


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One number over several tasks, in percent points.

    Args:
        name: as in the sentences of the gate.
        value: the mean over tasks and seeds; not a number where no task counts.
        low: lower end of its interval, at the gate's level.
        high: upper end.
        by_seed: the number of each seed.
        tasks: those that count.
        evidence: the rows behind it.
    """

    name: str
    value: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    tasks: tuple[str, ...]
    evidence: Evidence = field(repr=False)

    @property
    def defined(self) -> bool:
        """Whether any task counts."""
        return bool(self.tasks)


def measure(run: MultitaskRun) -> dict[str, Measure]:
    """All measures of a run, by their names.

    The best of several stages is best in part by luck, and the interval of forgetting allows for that: its lower end is
    that of the fall since learning, which is never more than the true fall from the best; its upper end is that of the
    fall from the best line seen.
    """
    last, seeds = len(run.repeats[0]) - 1, len(run.repeats)
    plain = {
        "average score": to_the_end(run.learned, last),
        "average gain": since_the_base(run.learned, last),
        "backward transfer": since_learned(run.learned, last),
        "forward transfer": before_learned(run.learned, last),
    }
    found = {name: _measure(run, name, [ways] * seeds) for name, ways in plain.items()}
    forgotten = _measure(run, "forgetting", falls_from_best(run))
    since = _measure(run, "forgetting", [lost_since(run.learned, last)] * seeds)
    return {**found, "forgetting": replace(forgotten, low=since.low)}


def falls_from_best(run: MultitaskRun) -> Ways:
    """For each seed the ways from each earlier task's last score to its best."""
    return [lost_from_best(run.matrix(repeat), run.learned) for repeat in range(len(run.repeats))]


def weigh_rows(run: MultitaskRun, ways: Ways) -> Floats:
    """The ways of every row as (rows of all tasks, seeds) float64, weighted so that their mean is that over tasks.

    A task's rows have the weight n / (tasks * rows of the task), where n is the number of all rows. Tasks whose score
    is not in percent points, as a perplexity, are left out.
    """
    places = [place for place, way in enumerate(ways[0]) if in_points(run, way.task)]
    if not places:
        return np.zeros((0, len(ways)))
    tasks = [walk_seeds(run, ways, place) for place in places]
    rows = sum(map(len, tasks))
    return np.vstack([scores * (rows / (len(tasks) * len(scores))) for scores in tasks])


def walk_seeds(run: MultitaskRun, ways: Ways, place: int) -> Floats:
    """One task's ways of every row and seed: (rows, seeds) float64."""
    return np.column_stack([walk(run, seed, of_seed[place]) for seed, of_seed in enumerate(ways)])


def walk(run: MultitaskRun, seed: int, way: Way) -> Floats:
    """A way of every row of its task: (rows,) float64, how much higher it scores at the end than at the start."""
    subject, stages = run.curriculum.subjects[way.task], run.repeats[seed]

    def scores(line: int) -> Floats:
        return stages[line].arms[subject.name].score_matrix((subject.headline,))[:, 0]

    return scores(way.end) if way.start is None else scores(way.end) - scores(way.start)


def in_points(run: MultitaskRun, task: int) -> bool:
    """Whether a task's score is in percent points, and more of them are better."""
    subject = run.curriculum.subjects[task]
    return subject.headline not in run.repeats[0][0].arms[subject.name].manifest.lower_is_better


def weigh(deltas: Floats, settings: GateSettings) -> Evidence:
    """Deltas of (rows, seeds, columns) as evidence; none of yes and no, for no task's headline is."""
    return Evidence(deltas=deltas, yes_no=(False,) * deltas.shape[2], level=settings.level, flips=settings.flips)


def _measure(run: MultitaskRun, name: str, ways: Ways) -> Measure:
    rows = weigh_rows(run, ways)
    evidence = weigh(rows[:, :, None], run.multitask.gate)
    by_seed = rows.mean(axis=0) if len(rows) else np.full(len(ways), math.nan)
    low, high = evidence.interval(0) if len(rows) else (math.nan, math.nan)
    names = run.curriculum.names
    return Measure(
        name=name,
        value=float(by_seed.mean()),
        low=low,
        high=high,
        by_seed=tuple(by_seed.tolist()),
        tasks=tuple(names[way.task] for way in ways[0] if in_points(run, way.task)),
        evidence=evidence,
    )
