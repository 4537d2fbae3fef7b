"""What learning one task did to the others: average score, forgetting, backward and forward transfer.

All of it is read from the matrix R of scores, (1 + stages, tasks) float64: line 0 is the base, line i holds every task
after stage i. ``learned`` says for each task the line after which it was taught, (tasks,) int; several tasks may have
the same line, as where a stage teaches them jointly.

Each measure is a mean over tasks of the way from one line to another, so that it can be taken of single rows as well as
of their means. It is not a number (nan) where no task has such a way: where there is one stage, no task was learned
before the last one, so nothing can have been forgotten, and none is left to profit.

Source: Lopez-Paz and Ranzato 2017, "Gradient Episodic Memory for Continual Learning", section 2 (average score,
backward and forward transfer); Chaudhry et al. 2018, "Riemannian Walk for Incremental Learning", section 3
(forgetting).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Lines = NDArray[np.int64]


@dataclass(frozen=True)
class Way:
    """The way of one task through the matrix.

    Args:
        task: its column.
        start: the line whose score is taken off; nothing where the score itself is meant.
        end: the line whose score counts.
    """

    task: int
    start: int | None
    end: int


def to_the_end(learned: Lines, last: int) -> tuple[Way, ...]:
    """Each task's last score."""
    return tuple(Way(task, None, last) for task in range(len(learned)))


def since_the_base(learned: Lines, last: int) -> tuple[Way, ...]:
    """What each task gained over the base in the end."""
    return tuple(Way(task, 0, last) for task in range(len(learned)))


def since_learned(learned: Lines, last: int) -> tuple[Way, ...]:
    """What later stages did to each task that was learned before the last."""
    return tuple(Way(task, int(line), last) for task, line in enumerate(learned) if line < last)


def before_learned(learned: Lines, last: int) -> tuple[Way, ...]:
    """What earlier stages did to each task that was not learned in the first: from the base to just before it."""
    return tuple(Way(task, 0, int(line) - 1) for task, line in enumerate(learned) if line > 1)


def lost_since(learned: Lines, last: int) -> tuple[Way, ...]:
    """What each earlier task lost since it was learned: `since_learned`, walked backwards."""
    return tuple(Way(way.task, way.end, int(learned[way.task])) for way in since_learned(learned, last))


def lost_from_best(scores: Floats, learned: Lines) -> tuple[Way, ...]:
    """What each earlier task lost from its best score of the lines since it was learned, but for the last.

    The formula of Chaudhry et al. looks at the lines before as well. A task that its own training made worse would be
    forgotten by that, whatever came afterwards.
    """
    last = len(scores) - 1
    return tuple(
        Way(way.task, way.start, way.end + int(scores[way.end : last, way.task].argmax()))
        for way in lost_since(learned, last)
    )


def mean_way(scores: Floats, ways: tuple[Way, ...]) -> float:
    """The mean of the ways, in the unit of the scores; not a number where there are none."""
    if not ways:
        return float("nan")
    return float(np.mean([scores[way.end, way.task] - _at(scores, way) for way in ways]))


def average_score(scores: Floats) -> float:
    """The mean of all tasks' last scores (ACC of Lopez-Paz and Ranzato 2017, equation 2)."""
    return float(scores[-1].mean())


def backward_transfer(scores: Floats, learned: Lines) -> float:
    """How much later tasks helped (above 0) or harmed (below 0) those before (BWT, their equation 3)."""
    return mean_way(scores, since_learned(learned, len(scores) - 1))


def forward_transfer(scores: Floats, learned: Lines) -> float:
    """How much earlier tasks helped, over the base, those that were still to come (FWT, their equation 4)."""
    return mean_way(scores, before_learned(learned, len(scores) - 1))


def forgetting(scores: Floats, learned: Lines) -> float:
    """How far earlier tasks fell from their best score (Chaudhry et al. 2018, equation 3); below 0 where they rose."""
    return mean_way(scores, lost_from_best(scores, learned))


def _at(scores: Floats, way: Way) -> float:
    """The score that is taken off."""
    return 0.0 if way.start is None else float(scores[way.start, way.task])
