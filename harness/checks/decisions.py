"""Decisions: how often "tuned is different" is said of two runs of one system, and how often it is missed."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np

from harness.checks.check import CheckFailed, CheckSkipped, check
from harness.checks.evidence import Evidence

REPEATS = 200
"""Simulated comparisons, where one takes no longer than `SECONDS` allows."""
FEWEST = 60
SECONDS = 5.0
"""What the comparisons of one kind may take together."""
ROWS = 60
SEEDS = 4
"""Runs of each arm, where several are compared."""
SURE = 3.5
"""A rate this many standard errors above its nominal value is no accident (one in 4,000)."""
SEEN = 0.8
"""The share of large effects that a decision must find; a paired test finds nearly all of these."""


@check("I12", "comparison", needs=("comparison.decide",))
def two_runs_of_one_system_rarely_differ(evidence: Evidence) -> str:
    """Two runs of one system are called different no more often than the declared level; large gains are found."""
    level = evidence.declared("level")
    random = np.random.default_rng(evidence.seed)

    def alike() -> bool:
        hard = random.normal(40, 15, ROWS)
        return _decide(evidence, "decide", hard + random.normal(0, 5, ROWS), hard + random.normal(0, 5, ROWS))

    def better() -> bool:
        hard = random.normal(40, 15, ROWS)
        return _decide(evidence, "decide", hard + random.normal(0, 5, ROWS), hard + random.normal(4, 5, ROWS))

    repeats = _affordable(better)
    alarms = _require_level(alike, level, repeats, ("single-run-unpaired-test", "seed-noise-taken-as-gain"))
    found = sum(better() for _ in range(repeats))
    if found < SEEN * repeats:
        raise CheckFailed(
            f"A gain of 4 points in every row, with noise of 5 and rows that differ by 15, is found in {found} of "
            f"{repeats} comparisons of {ROWS} rows; a paired test finds nearly all.",
            suspects=("single-run-unpaired-test",),
            remedy="Test the differences of the rows, not the two lists: a paired permutation or bootstrap test.",
        )
    return f"{alarms} of {repeats} false alarms at level {level:g}, {found} of {repeats} gains found"


@check("I12", "comparison", needs=("comparison.decide_runs",))
def seed_noise_is_not_taken_for_a_gain(evidence: Evidence) -> str:
    """Several seeds of one system against several others are rarely called different, a large gain is found."""
    level = evidence.declared("level")
    random = np.random.default_rng(evidence.seed)

    def compare(gain: float) -> bool:
        hard = random.normal(40, 15, ROWS)

        def runs(shift: float) -> list[list[float]]:
            # What one seed does to the whole model does not average out over rows.
            return [(hard + shift + random.normal(0, 2) + random.normal(0, 5, ROWS)).tolist() for _ in range(SEEDS)]

        return bool(evidence.call("comparison.decide_runs", runs(0.0), runs(gain)))

    repeats = _affordable(lambda: compare(20.0))
    suspects = ("seed-noise-taken-as-gain", "best-of-n-seeds-reported", "single-run-unpaired-test")
    alarms = _require_level(lambda: compare(0.0), level, repeats, suspects)
    found = sum(compare(20.0) for _ in range(FEWEST))
    if found < SEEN * FEWEST:
        raise CheckFailed(
            f"A gain of 20 points, ten times the noise between seeds, is found in {found} of {FEWEST} comparisons.",
            suspects=("single-run-unpaired-test", "guard-that-never-fires"),
            remedy="Compare the means of the seeds with the spread between them.",
        )
    return f"{alarms} of {repeats} false alarms at level {level:g}, {found} of {FEWEST} gains found"


@check("I12", "comparison", needs=("comparison.summarise_tuned",))
def several_seeds_are_summed_up_fairly(evidence: Evidence) -> str:
    """Both arms sum their seeds up by the same statistic, and it is not the best of them."""
    random = np.random.default_rng(evidence.seed)
    for _ in range(20):
        scores = random.normal(40, 3, 5).tolist()
        tuned = float(evidence.call("comparison.summarise_tuned", scores))
        lowered = [score if score == max(scores) else score - 10 for score in scores]
        if math.isclose(tuned, float(evidence.call("comparison.summarise_tuned", lowered)), abs_tol=1e-9):
            raise CheckFailed(
                f"The seeds {_say(scores)} are reported as {tuned:.2f}, and stay at that when all but the best are "
                f"10 points worse; their mean is {statistics.fmean(scores):.2f}.",
                suspects=("best-of-n-seeds-reported", "seed-noise-taken-as-gain"),
                remedy="Report the mean and the spread of all seeds.",
            )
        if not evidence.has("comparison.summarise_base"):
            continue
        base = float(evidence.call("comparison.summarise_base", scores))
        if not math.isclose(base, tuned, abs_tol=1e-9):
            raise CheckFailed(
                f"The same seeds {_say(scores)} are {base:.2f} for the baseline and {tuned:.2f} for the candidate.",
                suspects=("best-of-n-seeds-reported", "seed-noise-taken-as-gain", "subtask-average-changed"),
                remedy="Sum up both arms by one function, over the same number of seeds.",
            )
    return "the mean of all seeds moves, the same for both arms"


@check("I9", "comparison", needs=("comparison.selection_rows", "comparison.reported_rows"))
def selection_rows_are_not_reported_on(evidence: Evidence) -> str:
    """No row that chose the checkpoint is among those that the score is reported on."""
    chose = {_content(evidence, row) for row in evidence.call("comparison.selection_rows")}
    reported = [_content(evidence, row) for row in evidence.call("comparison.reported_rows")]
    if not chose or not reported:
        raise CheckSkipped("there are no selection rows or no reported rows")
    shared = sum(content in chose for content in reported)
    if shared:
        raise CheckFailed(
            f"{shared} of {len(reported)} reported rows also chose the checkpoint, threshold or prompt.",
            suspects=("checkpoint-selected-on-test", "train-eval-exact-overlap"),
            remedy="Choose on a validation split, and report on rows that no choice has seen.",
        )
    return f"{len(chose)} selection rows, none among {len(reported)} reported"


@check("I0", "comparison", needs=("filter_features", "encode"))
def guard_against_empty_labels_fires(evidence: Evidence) -> str:
    """The user's filter drops a row without any label, and keeps the others."""
    features = evidence.features(evidence.rows())
    if not all(isinstance(feature.get("labels"), list) for feature in features):
        raise CheckSkipped("the features have no list of labels")
    hollow = {**features[0], "labels": [-100] * len(features[0]["labels"])}
    kept = list(evidence.call("filter_features", [*features[1:4], hollow, *features[4:]]))
    labels = [list(feature["labels"]) for feature in kept]
    if hollow["labels"] in labels:
        raise CheckFailed(
            f"A row whose {len(hollow['labels'])} labels are all -100 passes the filter.",
            suspects=("guard-that-never-fires", "labels-all-masked-by-truncation"),
            remedy="Compare element by element: any(label != -100 for label in labels). A list compared with a number "
            "is one comparison.",
        )
    lost = len(features) - 1 - len(kept)
    if lost:
        raise CheckFailed(
            f"The filter drops {lost} of {len(features) - 1} rows that have labels.",
            suspects=("eval-rows-silently-dropped", "guard-that-never-fires"),
            remedy="Drop only rows without any label, and say how many.",
        )
    return f"1 row without labels dropped, {len(kept)} kept"


def _affordable(compare: Callable[[], bool]) -> int:
    """How many comparisons the time allows."""
    began = time.perf_counter()
    compare()
    return max(FEWEST, min(REPEATS, int(SECONDS / (time.perf_counter() - began + 1e-9))))


def _require_level(alike: Callable[[], bool], level: float, repeats: int, suspects: tuple[str, ...]) -> int:
    """How often two runs of one system are called different; raises where that is too often."""
    alarms = sum(alike() for _ in range(repeats))
    limit = repeats * level + SURE * math.sqrt(repeats * level * (1 - level))
    if alarms > limit:
        raise CheckFailed(
            f"Two runs of one system are called different in {alarms} of {repeats} comparisons; at level {level:g} at "
            f"most {math.floor(limit)} are chance.",
            suspects=suspects,
            remedy="Use a paired test over rows, and let the spread between seeds count.",
        )
    return alarms


def _decide(evidence: Evidence, part: str, base: np.ndarray[tuple[int], np.dtype[np.float64]],
            tuned: np.ndarray[tuple[int], np.dtype[np.float64]]) -> bool:  # fmt: skip
    return bool(evidence.call(f"comparison.{part}", base.tolist(), tuned.tolist()))


def _content(evidence: Evidence, row: object) -> str:
    return str(evidence.column(row, "input"))


def _say(scores: Sequence[float]) -> str:
    return ", ".join(f"{score:.1f}" for score in scores)
