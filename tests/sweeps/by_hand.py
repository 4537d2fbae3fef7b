"""Sweeps without training: a runner of this process, and cells whose scores are made up."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.arm import Arm
from harness.report.account import give_account
from harness.report.folder import write_evidence
from harness.sweeps.runner import Ended, Work, attempt
from harness.sweeps.settings import Sweep
from harness.sweeps.work import CellOrder, LookOrder, Seen, look, pack
from harness.tuning import Cost
from tests.runs import make_run

ENVIRONMENT = {"python": "3", "device": "a processor", "threads": "1"}
BASE_SECONDS = 1.0
SCORES = np.random.default_rng(0).normal(40, 10, 40).round(4)


def glance(order: LookOrder) -> Seen:
    """What `look` would find, without a model; a method called lora never fits the model tiny-bert."""
    methods = dict.fromkeys(cell.method for cell in order.group.cells)
    unfit = {"lora": "It has no layer for that."} if order.group.model == "tiny-bert" and "lora" in methods else {}
    fit = [method for method in methods if method not in unfit]
    sources = {method: {"base": order.group.model} for method in fit}
    return Seen(sources=sources, unfit=unfit, circumstances=dict.fromkeys(fit, ENVIRONMENT))


@dataclass
class Here:
    """A runner of this process; what a cell does is told by the test.

    Args:
        glance: stands for `look`.
        ran: the cells in the order in which they were begun.
    """

    glance: Work = glance
    ran: list[str] = field(default_factory=list)
    describes_device = True

    def run(self, work: Work, items: Mapping[str, Any]) -> Iterator[tuple[str, Ended]]:
        """See `harness.sweeps.runner.Runner`."""
        for key, item in items.items():
            if work is look:
                yield key, attempt(self.glance, item)
                continue
            self.ran.append(str(item.cell))
            yield key, attempt(work, item)


def small_sweep(**changes: object) -> Sweep:
    """Two methods and two seeds of one task."""
    return Sweep.model_validate({"tasks": ["summarization"], "methods": ["full", "lora"], "seeds": [1, 2]} | changes)


def make_archive(order: CellOrder, tuned: Sequence[float]) -> bytes:
    """The folder of a cell whose tuned model has these scores, and whose base has a little less."""
    made = make_run((np.array(tuned) - 1 + np.resize([0.5, -0.5], len(tuned))).round(4).tolist(), tuned)
    done = replace(
        made,
        experiment=order.cell.experiment,
        base=_rename(made.base, order),
        tuned=_rename(made.tuned, order),
        cost=Cost(peak_bytes=1000, stored_bytes=10),
        seconds={"base": BASE_SECONDS, "tune": 1.0},
    )
    with tempfile.TemporaryDirectory() as place:
        write_evidence(done, give_account(done), Path(place))
        return pack(Path(place))


def _rename(arm: Arm, order: CellOrder) -> Arm:
    changes = {"experiment": order.cell.experiment.name, "environment": ENVIRONMENT}
    return arm.model_copy(update={"manifest": arm.manifest.model_copy(update=changes)})


def score_by_seed(order: CellOrder) -> bytes:
    """Every method has the same scores but for a little noise of the seed."""
    return make_archive(order, noisy(order.cell.seed).tolist())


def noisy(seed: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """The scores with a little noise."""
    return (SCORES + np.random.default_rng(seed).normal(0, 0.5, len(SCORES))).round(4)


def failing(times: int, error: Exception, *, method: str = "lora") -> Callable[[CellOrder], bytes]:
    """Work whose cells of one method fail so often, and then are done."""
    left: dict[str, int] = {}

    def work(order: CellOrder) -> bytes:
        if order.cell.method == method and left.setdefault(order.key, times):
            left[order.key] -= 1
            raise error
        return score_by_seed(order)

    return work
