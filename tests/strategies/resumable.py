"""A small run over two tasks that a test may kill: its child process tells what it has done, a line a stage."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path

from harness.multitask import Multitask, load_multitask
from harness.strategies.run import MultitaskRun, run_strategy

TASKS = ("classification", "sentiment")
CHANGES = {
    "strategy": "replay-ewc",
    "continual.replay": 4,
    "continual.fisher_rows": 4,
    "data.train_rows": 8,
    "data.eval_rows": 4,
    "training.epochs": 1,
}
"""Replay and EWC together: the next stage needs the weights, the rows in memory and the Fisher information."""


def settings(**changes: object) -> Multitask:
    """Two tasks on one encoder, a few rows each."""
    return load_multitask("multitask-bert", tasks=TASKS).override(CHANGES | changes)


def work(progress: Path, told: Connection) -> None:
    """Run it, and tell each line through the pipe; it may be killed at any moment."""
    run_strategy(settings(), progress=progress, say=told.send)


def fingerprint(run: MultitaskRun) -> list[object]:
    """All that two equal runs have in common: every output and score, the weights behind them, every loss."""
    return [
        (stage.taught, stage.losses, stage.facts, [(arm.manifest, arm.rows) for arm in stage.arms.values()])
        for stages in run.repeats
        for stage in stages
    ]
