"""``harness run --task all``: the embedded experiment of every task, in one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from harness.cli.run import perform
from harness.config import Experiment, load_experiment
from harness.errors import SettingsError


def list_experiments(experiment: str | None, data: str | None) -> list[Experiment]:
    """The embedded experiment of every task.

    Args:
        experiment: what the user named as experiment; it would have one task.
        data: what the user named as data; rows of one task are no rows of another.

    Raises:
        SettingsError: one of them was named.
    """
    from harness.tasks import TASKS

    for named, what in ((experiment, "The experiment"), (data, "The data")):
        if named is not None:
            raise SettingsError(
                f'{what} "{named}" belongs to one task, and --task all asks for every one.',
                fix="Leave out one of the two.",
            )
    return [load_experiment(f"{name}-full") for name in TASKS]


def execute_all(
    experiments: Sequence[Experiment],
    *,
    runs: Path,
    baselines: Path,
    trackers: tuple[str, ...],
    document: Path | None,
) -> int:
    """Run one after another and print one table; returns the gravest exit code."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    from harness.gate import gravest
    from harness.report.account import give_account
    from harness.report.several import TITLES, list_runs, require_place, write_runs

    if document is not None:
        require_place(document)
    done = []
    for number, experiment in enumerate(experiments, start=1):
        click.echo(f"[{number}/{len(experiments)}] {experiment.name}", err=True)
        done.append(perform(experiment, runs=runs, baselines=baselines, trackers=trackers))
    accounts = [give_account(run) for run in done]
    if document is not None:
        write_runs(accounts, document)
    table = Table(*TITLES, box=box.SIMPLE_HEAD, pad_edge=False)
    for line in list_runs(accounts):
        table.add_row(*line)
    Console().print(table)
    return gravest([run.verdict.exit_code for run in done])
