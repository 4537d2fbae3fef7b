"""What came of a sweep, as plain data: the report's facts, read from the cells on disk."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness.arm import Arm
from harness.comparison import Comparison, compare
from harness.config import GateSettings
from harness.errors import HarnessError
from harness.pairs import Pair, compare_scores
from harness.statistics import SHARES
from harness.tasks import TASKS

if TYPE_CHECKING:
    from harness.report.facts import Facts
    from harness.sweeps.plan import Plan
    from harness.sweeps.settings import Sweep
    from harness.sweeps.store import Store
    from harness.sweeps.work import CellOrder

MOST_PAIRS = 2000
"""Pairs that are tested together: 10,000 sign flips of each are 160 MB."""
BEST, EQUAL, BEHIND = "best", "not told apart", "behind"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A model with a method on a task, over its seeds.

    Args:
        facts: its line of the report.
        scores: (rows, seeds) float64, the headline score of each row.
        comparable: the rows and the metric's signature, which candidates must share to be compared.
        falls: whether less is better.
        gate: level and flips.
    """

    facts: Facts
    scores: NDArray[np.float64]
    comparable: tuple[str, str]
    falls: bool
    gate: GateSettings

    @property
    def name(self) -> str:
        """What the table of pairs calls it."""
        return f"{self.facts['model']}, {self.facts['method']}"


def describe_sweep(sweep: Sweep, plan: Plan, store: Store) -> Facts:
    """The report of a sweep as JSON values.

    Cells are read one candidate at a time; what stays in memory is a headline score for each row and seed.
    """
    failed = [_describe_refused(group.task, group.model, failure, len(group.cells)) for group, failure in plan.refused]
    tasks = []
    names = [group.task for group in plan.groups]
    for task in dict.fromkeys(names):
        orders = [(key, order) for key, order in plan.orders.items() if order.cell.task == task]
        found = list(_read_candidates(orders, store, failed))
        if found:
            tasks.append(_describe_task(task, found, len(sweep.seeds)))
    lines = [line for task in tasks for line in task["lines"]]
    return {
        "name": sweep.name,
        "seeds": list(sweep.seeds),
        "cells": {
            "all": sum(len(group.cells) for group in plan.groups),
            "done": sum(len(line["seeds"]) for line in lines),
            "failed": sum(entry["cells"] for entry in failed),
            "unfit": sum(entry.cells for entry in plan.unfit),
            "retried": sum(line["retried"] for line in lines),
        },
        "tasks": tasks,
        "unfit": [
            {"task": entry.task, "model": entry.model, "method": entry.method, "reason": entry.reason}
            for entry in plan.unfit
        ],
        "failed": failed,
        "cost": {
            "seconds": round(sum(line["seconds"] + line["base_seconds"] for line in lines), 1),
            "bytes": sum(line["bytes"] for line in lines),
        },
        "environment": next(iter(plan.orders.values())).circumstances,
        "devices": sorted({device for line in lines for device in line["devices"]}),
    }


def _read_candidates(
    orders: Sequence[tuple[str, CellOrder]], store: Store, failed: list[dict[str, Any]]
) -> Iterator[Candidate]:
    """The candidates of a task; cells that are not done, or cannot be read, go to those that failed."""
    for _, some in groupby(orders, key=lambda entry: (entry[1].cell.model, entry[1].cell.method)):
        done: list[tuple[CellOrder, Arm, Arm, Facts]] = []
        for key, order in some:
            if not store.is_done(key):
                failed.append(_describe_failed(order, store.read_errors(key)))
                continue
            try:
                arms = store.read_arms(key, order.cell.experiment.name)
                facts = {**store.read_verdict(key), "cell": store.read_cell(key), "bytes": store.measure(key)}
            except HarnessError as error:
                failed.append(_describe_failed(order, [{"kind": type(error).__name__, "message": str(error)}]))
                continue
            done.append((order, arms.base, arms.tuned, facts))
        if done:
            yield _make_candidate(done)


def _make_candidate(done: Sequence[tuple[CellOrder, Arm, Arm, Facts]]) -> Candidate:
    orders, bases, tuned, facts = zip(*done, strict=True)
    cell = orders[0].cell
    headline = TASKS[cell.experiment.task].headline
    comparison = compare(tuned, bases, cell.experiment.gate, title="tuned vs base")
    manifest = tuned[0].manifest
    return Candidate(
        facts={
            "model": cell.model,
            "method": cell.method,
            "seeds": [order.cell.seed for order in orders],
            **_describe_scores(comparison, headline, tuned),
            "seconds": round(sum(entry["cell"]["seconds"] - entry["seconds"]["base"] for entry in facts), 3),
            "base_seconds": round(sum(entry["seconds"]["base"] for entry in facts), 3),
            "tune_seconds": round(sum(entry["seconds"]["tune"] for entry in facts), 3),
            "trainable_parameters": facts[0]["training"]["trainable_parameters"],
            "peak_bytes": max(entry["training"]["peak_bytes"] for entry in facts),
            "stored_bytes": facts[0]["training"]["stored_bytes"],
            "bytes": sum(entry["bytes"] for entry in facts),
            "retried": sum(entry["cell"]["failed_before"] > 0 for entry in facts),
            "devices": sorted({arm.manifest.environment["device"] for arm in tuned}),
            "folders": [f"cells/{order.key}" for order in orders],
            "standing": None,
        },
        scores=np.hstack([arm.score_matrix((headline,)) for arm in tuned]),
        comparable=(manifest.rows, manifest.metrics[headline]),
        falls=headline in manifest.lower_is_better,
        gate=cell.experiment.gate,
    )


def _describe_scores(comparison: Comparison, headline: str, tuned: Sequence[Arm]) -> Facts:
    """The headline score: of the base, of the tuned models, and their difference with its interval."""
    entry = next((entry for entry in comparison.metrics if entry.metric == headline), None)
    by_seed = [arm.manifest.scores[headline] for arm in tuned]
    return {
        "outcome": str(comparison.outcome),
        "base": None if entry is None else entry.against,
        "tuned": sum(by_seed) / len(by_seed),
        "by_seed": by_seed,
        "delta": None if entry is None else round(entry.delta, 4),
        "interval": [None, None] if entry is None else [_finite(entry.low), _finite(entry.high)],
        "p_adjusted": None if entry is None else round(entry.p, 6),
    }


def _describe_task(task: str, found: Sequence[Candidate], seeds: int) -> Facts:
    first = found[0]
    rivals = [entry for entry in found if entry.scores.shape[1] == seeds and entry.comparable == first.comparable]
    count = len(rivals) * (len(rivals) - 1) // 2
    pairs: tuple[Pair, ...] = ()
    if count <= MOST_PAIRS:
        scores = {entry.name: entry.scores for entry in rivals}
        pairs = compare_scores(scores, first.gate, falls=first.falls, of_set=SHARES in first.comparable[1])
    _place(rivals, pairs, falls=first.falls)
    missing = len(found) - len(rivals)
    notes = [f"{count} pairs of candidates are more than the {MOST_PAIRS} that are tested together."] * (
        count > MOST_PAIRS
    )
    notes += [f"{missing} of {len(found)} candidates lack seeds or have other rows, and are compared with none."] * (
        missing > 0
    )
    return {
        "task": task,
        "headline": first.comparable[1].partition("|")[0],
        "lower_is_better": first.falls,
        "rows": len(first.scores),
        "level": first.gate.level,
        "lines": [entry.facts for entry in found],
        "pairs": [_describe_pair(pair) for pair in pairs],
        "notes": notes,
    }


def _place(rivals: Sequence[Candidate], pairs: Sequence[Pair], *, falls: bool) -> None:
    """Say of each candidate how it stands to the one with the best mean: really behind, or not told apart from it."""
    if not pairs:
        return
    leader = (min if falls else max)(rivals, key=lambda entry: float(entry.scores.mean()))
    beaten = {{pair.one, pair.other}.difference({leader.name}).pop() for pair in pairs if pair.better == leader.name}
    for entry in rivals:
        entry.facts["standing"] = BEST if entry is leader else BEHIND if entry.name in beaten else EQUAL


def _describe_failed(order: CellOrder, tries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    cell = order.cell
    last = tries[-1] if tries else {"kind": "NotRun", "message": "It was not run."}
    return {
        "task": cell.task,
        "model": cell.model,
        "method": cell.method,
        "seed": cell.seed,
        "cells": 1,
        "tries": len(tries),
        "kind": last["kind"],
        "message": last["message"],
        "errors": f"errors/{order.key}.json" if tries else None,
    }


def _describe_refused(task: str, model: str, failure: Any, cells: int) -> dict[str, Any]:
    return {
        "task": task,
        "model": model,
        "method": None,
        "seed": None,
        "cells": cells,
        "tries": 1,
        "kind": failure.kind,
        "message": failure.message,
        "errors": None,
    }


def _describe_pair(pair: Pair) -> Facts:
    return {
        "one": pair.one,
        "other": pair.other,
        "delta": round(pair.delta, 4),
        "interval": [_finite(pair.low), _finite(pair.high)],
        "p_adjusted": round(pair.p, 6),
        "better": pair.better,
    }


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
