"""Several experiments in one go: every task (``--task all``), or every method of a task (``--method all``)."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import processes
from harness.cli.run import Places, name_for_method, perform
from harness.cli.say import say
from harness.config import Experiment, load_experiment
from harness.errors import SettingsError, UnfitError

if TYPE_CHECKING:
    from harness.experiment import Run
    from harness.metrics.metric import Table

SHOTS = 2
"""Demonstrations of the few-shot line of ``--method all``, where the settings have none."""
Tabulate = Callable[[Sequence["Run"], Mapping[str, str]], tuple["Table", ...]]
"""From the runs, and what was skipped for which reason, to the tables that show them."""


def list_tasks(experiment: str | None, data: str | None) -> list[Experiment]:
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


def list_methods(experiment: Experiment) -> list[Experiment]:
    """The experiment with every method, each by a name of its own: a stored baseline is that of one method.

    Prompting is there twice, without and with demonstrations.
    """
    from harness.methods import METHODS

    ways: dict[str, dict[str, object]] = {}
    for method in METHODS:
        ways[method] = {"method": method}
        if method == "prompt" and experiment.prompt.way != "few-shot":
            ways["few-shot"] = {"method": method, "prompt.variant": "text", "prompt.shots": SHOTS}
    return [
        experiment.override({**changes, "name": name_for_method(experiment, name, instead_of=experiment.method)})
        for name, changes in ways.items()
    ]


def run_tasks(
    experiments: Sequence[Experiment], *, places: Places, document: Path | None, as_json: bool = False
) -> int:
    """Run every task and print one table; returns the gravest exit code."""
    from harness.gate import gravest
    from harness.report.several import NARROW, tabulate_runs

    done = _run_each(experiments, tabulate_runs, places=places, document=document, narrow=NARROW, as_json=as_json)
    return gravest([run.verdict.exit_code for run in done])


def run_methods(
    experiments: Sequence[Experiment], *, places: Places, document: Path | None, as_json: bool = False
) -> int:
    """Run every method that applies and print what each brought and took, and which differ.

    A method that does not fit the task or the model is left out, and the reason is shown. The first has to fit.

    Returns:
        0 where methods were compared, however each did against its base; 4 where fewer than two were left.

    Raises:
        SettingsError: several processes share the run.
        UsageError: a run failed by anything else than a method that does not fit.
    """
    processes.require_one("--method all", why="Not every method can be divided among processes.")
    from harness.gate import ExitCode
    from harness.report.methods import NARROW, tabulate_methods

    done = _run_each(
        experiments,
        tabulate_methods,
        places=places,
        document=document,
        narrow=NARROW,
        as_json=as_json,
        skip_unfit=True,
    )
    return ExitCode.PASSED if len(done) > 1 else ExitCode.NOT_COMPARABLE


def _run_each(
    experiments: Sequence[Experiment],
    tabulate: Tabulate,
    *,
    places: Places,
    document: Path | None,
    narrow: Collection[str],
    as_json: bool,
    skip_unfit: bool = False,
) -> list[Run]:
    """Run one after another, and print the tables, or all as JSON; into the document as well, where one is named."""
    from harness.bases import Bases
    from harness.report.facts import describe_run
    from harness.report.several import require_place, write_tables

    if document is not None:
        require_place(document)
    done: list[Run] = []
    bases = Bases()
    facts: list[dict[str, Any]] = []
    skipped: dict[str, str] = {}

    def note(run: Run, folder: Path) -> None:
        facts.append({**describe_run(run), "folder": str(folder)})

    for number, experiment in enumerate(experiments, start=1):
        say(f"[{number}/{len(experiments)}] {experiment.name}", err=True)
        try:
            done.append(perform(experiment, places, show=note, bases=bases))
        except UnfitError as error:
            if not (skip_unfit and done):
                raise
            skipped[experiment.way] = str(error)
            say(f"{experiment.way} is left out: {error}", err=True)
    tables = tabulate(done, skipped)
    if document is not None and processes.is_first():
        write_tables(tables, document)
    if as_json:
        content = {"runs": facts, "tables": [asdict(table) for table in tables]}
        say(json.dumps(content, indent=2, ensure_ascii=False))
    else:
        _print_tables(tables, narrow)
    return done


def _print_tables(tables: Sequence[Table], narrow: Collection[str]) -> None:
    """Print the tables; of those that have the narrow columns, these alone where the terminal is no wider."""
    from rich.console import Console

    from harness.report.drawing import draw_table

    console = Console()
    for table in tables:
        beyond = {*table.columns} - {*narrow} if {*narrow} <= {*table.columns} else ()
        console.print(draw_table(table, console, without=beyond))
