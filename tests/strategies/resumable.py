"""A small run over two tasks that a test may kill: its child process keeps each step, and dies where it is told to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.multitask import Multitask, load_multitask
from harness.preparation import Say
from harness.progress import Unfinished
from harness.strategies.lines import choose_line
from harness.strategies.run import MultitaskRun
from harness.strategies.study import run_study

TASKS = ("classification", "sentiment")
CHANGES = {
    "continual.replay": 4,
    "continual.fisher_rows": 4,
    "data.train_rows": 8,
    "data.eval_rows": 4,
    "training.epochs": 1,
    "training.batch_size": 4,
}
"""Two steps for the first task, and three for the second with what is replayed."""


def settings(**changes: object) -> Multitask:
    """Two tasks on one encoder, a few rows each."""
    return load_multitask("multitask-bert", tasks=TASKS).override(CHANGES | changes)


def teach(line: str, folder: Path | None = None, say: Say = lambda _: None, *, fresh: bool = False) -> MultitaskRun:
    """Run one strategy; with a folder each step is kept there, and what was kept before is gone on from."""
    if folder is None:
        (run,) = run_study(settings(), [choose_line(line)]).runs.values()
        return run
    with Unfinished(folder, every=0, fresh=fresh) as unfinished:
        (run,) = run_study(settings(), [choose_line(line)], unfinished=unfinished, say=say).runs.values()
    return run


def work(line: str, folder: Path, prepare: Callable[[], None]) -> None:
    """Run it in this process, which what was prepared kills."""
    prepare()
    teach(line, folder)


def fingerprint(run: MultitaskRun) -> list[object]:
    """All that two equal runs have in common: every output and score, the weights behind them, every loss."""
    return [
        (stage.taught, stage.losses, stage.facts, [(arm.manifest, arm.rows) for arm in stage.arms.values()])
        for stages in run.repeats
        for stage in stages
    ]
