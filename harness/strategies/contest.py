"""Several strategies on the same tasks: which is better, which forgets less, and what each costs a single task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from harness.pairs import Pair, compare_scores
from harness.statistics.transfer import to_the_end
from harness.strategies.gaps import Gap, gaps_to_single
from harness.strategies.measures import Floats, falls_from_best, weigh_rows
from harness.strategies.run import MultitaskRun

SINGLE = "single"


@dataclass(frozen=True, kw_only=True)
class AgainstSingle:
    """One task of a strategy against the model that learned the task alone.

    Args:
        line: the strategy.
        gap: how far it stays below.
        loses: whether it surely does, of all strategies and tasks together.
    """

    line: str
    gap: Gap
    loses: bool


@dataclass(frozen=True, kw_only=True)
class Contest:
    """The strategies of one command, compared.

    Args:
        average: all pairs by the average score.
        forgetting: all pairs by forgetting, of those that can forget the same tasks.
        single: every task of every strategy against its single-task model; empty without those.
    """

    average: tuple[Pair, ...]
    forgetting: tuple[Pair, ...]
    single: tuple[AgainstSingle, ...]


def compare_runs(runs: Mapping[str, MultitaskRun]) -> Contest:
    """Compare strategies row by row; of each table all lines are tested together.

    Pairs are adjusted by sign flips and max-T over all of them (see `harness.pairs`). What is told of
    single-task models is adjusted for all strategies and tasks by Holm's step-down method: tasks have different rows.

    Args:
        runs: name to run, over the same tasks, rows and seeds.

    Source: Holm 1979, "A Simple Sequentially Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6.
    """
    settings = next(iter(runs.values())).multitask.gate
    others = {name: run for name, run in runs.items() if name != SINGLE}
    final = {name: weigh_rows(run, [to_the_end(run.learned, -1)] * len(run.repeats)) for name, run in runs.items()}
    gaps = [(name, gap) for name, run in others.items() if SINGLE in runs for gap in gaps_to_single(run, runs[SINGLE])]
    adjusted = adjust([gap.p_more_than(0) for _, gap in gaps])
    return Contest(
        average=compare_scores(final, settings, falls=False),
        forgetting=compare_scores(_weigh_falls(others), settings, falls=True),
        single=tuple(
            AgainstSingle(line=name, gap=gap, loses=p <= settings.level)
            for (name, gap), p in zip(gaps, adjusted, strict=True)
        ),
    )


def adjust(p_values: list[float]) -> list[float]:
    """Holm's adjusted p-values, in the order given."""
    order = np.argsort(p_values, kind="stable")
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = highest
    return adjusted


def _weigh_falls(runs: Mapping[str, MultitaskRun]) -> dict[str, Floats]:
    """The falls from the best of every row, of the strategies that can forget the same tasks as the first that can."""
    falls = {name: ways for name, run in runs.items() if (ways := falls_from_best(run))[0]}
    tasks = {name: [way.task for way in ways[0]] for name, ways in falls.items()}
    first = next(iter(tasks.values()), [])
    return {name: weigh_rows(runs[name], ways) for name, ways in falls.items() if tasks[name] == first}
