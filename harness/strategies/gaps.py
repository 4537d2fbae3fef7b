"""Task by task: what each lost since its best score, or against the model that learned it alone."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.config import GateSettings
from harness.statistics import Evidence
from harness.statistics.transfer import lost_since, to_the_end
from harness.strategies.measures import Floats, Ways, falls_from_best, in_points, walk_seeds, weigh
from harness.strategies.run import MultitaskRun


@dataclass(frozen=True, kw_only=True)
class Gap:
    """What one task lost, in percent points.

    Args:
        task: its name.
        loss: the mean over rows and seeds; below 0 where it gained.
        low: lower end of its interval, at the gate's level.
        high: upper end.
        evidence: of the rows, for what was lost at least.
    """

    task: str
    loss: float
    low: float
    high: float
    evidence: Evidence = field(repr=False)

    def p_more_than(self, points: float) -> float:
        """The p-value of "more than so many points were lost"."""
        return self.evidence.p_values("greater", shift=-points)[0]


def gaps_to_single(run: MultitaskRun, single: MultitaskRun) -> tuple[Gap, ...]:
    """How far each task stays below the model that learned it alone; both have the same rows and seeds."""
    ways = [to_the_end(run.learned, -1)] * len(run.repeats)
    alone, together = _walk_each(single, ways), _walk_each(run, ways)
    return tuple(
        _gap(task, alone[task] - rows, alone[task] - rows, run.multitask.gate) for task, rows in together.items()
    )


def gaps_of_forgetting(run: MultitaskRun) -> tuple[Gap, ...]:
    """How far each task fell from its best score; the lower end is that of the fall since it was learned."""
    since = _walk_each(run, [lost_since(run.learned, len(run.repeats[0]) - 1)] * len(run.repeats))
    best = _walk_each(run, falls_from_best(run))
    return tuple(_gap(task, best[task], rows, run.multitask.gate) for task, rows in since.items())


def _gap(task: str, loss: Floats, at_least: Floats, settings: GateSettings) -> Gap:
    evidence, sure = weigh(loss[:, :, None], settings), weigh(at_least[:, :, None], settings)
    return Gap(
        task=task,
        loss=float(loss.mean()),
        low=sure.interval(0)[0],
        high=evidence.interval(0)[1],
        evidence=sure,
    )


def _walk_each(run: MultitaskRun, ways: Ways) -> dict[str, Floats]:
    """The ways of each task that is scored in points: its name to (rows, seeds) float64."""
    return {
        run.curriculum.names[way.task]: walk_seeds(run, ways, place)
        for place, way in enumerate(ways[0])
        if in_points(run, way.task)
    }
