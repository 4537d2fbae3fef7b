"""Sweeps on a real Ray cluster of two nodes."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from harness.baselines.store import read_run
from harness.cli import main
from harness.errors import UsageError
from harness.sweeps import SWEEP_RUNNERS
from harness.sweeps.run import run_sweep
from harness.sweeps.runner import Ended, Runner, Work, Workplace
from harness.sweeps.work import CellOrder, look
from tests.small import SMALL
from tests.sweeps.by_hand import Here, score_by_seed, small_sweep

ROOT = Path(__file__).parents[2]
# Older versions of Ray leave their log files to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
MARKS = "HARNESS_TEST_MARKS"
"""Names the folder into which each cell writes that it was begun, on whatever node."""


def marked(order: CellOrder) -> bytes:
    """A cell that takes a moment, and leaves a mark of the node on which it begins."""
    import ray  # noqa: PLC0415 - an extra

    node = ray.get_runtime_context().get_node_id()
    (Path(os.environ[MARKS]) / f"{order.key}.{node}.{uuid.uuid4().hex}").touch()
    time.sleep(1)
    return score_by_seed(order)


@dataclass
class Glancing:
    """The cluster, but that this process looks at the rows, of which there are none."""

    runner: Runner
    describes_device = False

    def run(self, work: Work, items: Mapping[str, Any]) -> Iterator[tuple[str, Ended]]:
        """See `harness.sweeps.runner.Runner`."""
        return (Here() if work is look else self.runner).run(work, items)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A head without room for cells; nodes are added by the tests."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    (tmp_path / "marks").mkdir()
    monkeypatch.setenv(MARKS, str(tmp_path / "marks"))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    # Workers are processes of their own, which find the tests only where they are told to look.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), *sys.path]))
    from ray.cluster_utils import Cluster  # noqa: PLC0415 - an extra

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    yield made
    made.shutdown()


@pytest.mark.distributed
def test_node_that_is_killed_midway_costs_nothing_that_was_done(cluster: Any, tmp_path: Path) -> None:
    """Of twelve cells on two nodes some are done when one node dies: none of them runs again, and none is missing.

    What ran on the dead node runs once more on the other, and the loss is kept as the error of its first try.
    """
    nodes = {node.node_id: node for node in [cluster.add_node(num_cpus=2) for _ in range(2)]}
    done_before: list[str] = []

    def find_busy_node() -> str:
        # A cell is stored a moment before the next one leaves its mark.
        while True:
            for mark in (tmp_path / "marks").iterdir():
                key, node, _ = mark.name.split(".")
                if key not in done_before:
                    return node
            time.sleep(0.01)

    def watch(line: str) -> None:
        if line.startswith("[5/12]"):
            cells = tmp_path / "runs" / "sweep" / "cells"
            done_before.extend(path.name for path in cells.iterdir())
            node = nodes[find_busy_node()]
            (raylet,) = node.all_processes["raylet"]
            # A machine that dies takes all with it; Ray's workers alone would finish what they are at.
            workers = psutil.Process(raylet.process.pid).children(recursive=True)
            cluster.remove_node(node, allow_graceful=False)
            for worker in workers:
                with suppress(psutil.NoSuchProcess):
                    worker.kill()

    sweep = small_sweep(seeds=list(range(6)), retries=2)
    with SWEEP_RUNNERS["ray"](sweep, Workplace(address=cluster.address)) as runner:
        done = run_sweep(sweep, Glancing(runner), runs=tmp_path / "runs", work=marked, say=watch)
        assert done.complete
        assert done.facts["cells"]["done"] == 12
        begun = Counter(path.name.partition(".")[0] for path in (tmp_path / "marks").iterdir())
        assert len(done_before) == 5
        assert all(begun[key] == 1 for key in done_before)
        errors = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in done.folder.glob("errors/*")}
        assert len(begun) == 12
        assert {entry["tries"][0]["kind"] for entry in errors.values()} == {"WorkerLost"}
        assert {key for key, count in begun.items() if count > 1} <= set(errors)
        assert 1 <= len(errors) <= 3
        assert done.facts["cells"]["retried"] == len(errors)

        again = run_sweep(sweep, Glancing(runner), runs=tmp_path / "runs", work=marked)
        assert again.facts == done.facts
        assert len(list((tmp_path / "marks").iterdir())) == begun.total()


@pytest.mark.distributed
def test_cells_on_a_cluster_are_those_of_one_machine(cluster: Any, tmp_path: Path) -> None:
    """The command, with real cells on two nodes: the outputs are, bit for bit, those of the local runner."""
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    changes = [f"{name}={value}" for name, value in SMALL.items() if name != "gate.require"]
    command = ["sweep", "--tasks", "summarization", "--methods", "full,lora", "--seeds", "1"]
    command += [part for change in changes for part in ("--set", change)]
    outputs = []
    for engine in (["--engine", "ray", "--address", cluster.address], ["--workers", "1"]):
        runs = tmp_path / engine[1]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", ["harness", *command, "--runs", str(runs), *engine])
            assert main() == 0
        facts = json.loads((runs / "sweep" / "report.json").read_text(encoding="utf-8"))
        assert facts["cells"]["done"] == 2
        lines = facts["tasks"][0]["lines"]
        arms = [
            read_run(runs / "sweep" / line["folders"][0], f"summarization-{line['method']}").tuned for line in lines
        ]
        outputs.append([(arm.outputs_hash, arm.manifest.model.weights) for arm in arms])
    assert outputs[0] == outputs[1]


@pytest.mark.distributed
def test_cluster_that_is_not_there_is_said() -> None:
    """A wrong address is an error of our own, and not a traceback of Ray."""
    pytest.importorskip("ray", reason="the extra ray is not installed")
    with (
        pytest.raises(UsageError, match="No Ray cluster answers at"),
        SWEEP_RUNNERS["ray"](small_sweep(), Workplace(address="127.0.0.1:1")),
    ):
        pass


def test_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Ray the runner says what to install, and that the local one needs nothing."""
    monkeypatch.setitem(sys.modules, "ray", None)
    with (
        pytest.raises(UsageError, match="Install it: pip install ray;"),
        SWEEP_RUNNERS["ray"](small_sweep(), Workplace()),
    ):
        pass
