"""``harness sweep``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.number import NumberRange
from harness.cli.say import say
from harness.errors import SettingsError

if TYPE_CHECKING:
    from harness.sweeps.plan import Plan
    from harness.sweeps.settings import Sweep


@click.command("sweep")
@click.argument("file", required=False)
@click.option("--tasks", metavar="A,B,...", help="Names of tasks, or files like harness.toml.")
@click.option("--models", metavar="A,B,...", help="tiny-t5, checkpoint folders, hub ids; by default each task's own.")
@click.option("--methods", metavar="A,B,...", help="How the models are adapted, as full,lora.")
@click.option("--seeds", metavar="1,2,...", help="Of training; each is a cell of its own.")
@click.option("--set", "changes", multiple=True, metavar="NAME=VALUE", help="Change a setting of every cell.")
@click.option("--name", help="The sweep's folder in that of runs.")
@click.option("--retries", type=click.IntRange(0, 100), help="How often a cell that failed is run again.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Of each cell.")
@click.option("--gpus", type=NumberRange(0, 64), help="With a cluster: what a cell takes, as 1 or 0.5.")
@click.option("--engine", default="local", show_default=True, help="local: processes; ray: a cluster.")
@click.option("--workers", type=click.IntRange(1, 4096), help="How many cells at a time on this machine.")
@click.option("--address", help="With ray: of the cluster, as auto or HOST:6379.")
@click.option(
    "--runs", default="runs", show_default=True, type=click.Path(path_type=Path), help="Where the sweep is written."
)
@click.option("--dry-run", is_flag=True, help="List the cells and what of them is done; run and write nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@click.pass_context
def sweep_command(
    context: click.Context,
    *,
    file: str | None,
    tasks: str | None,
    models: str | None,
    methods: str | None,
    seeds: str | None,
    changes: tuple[str, ...],
    name: str | None,
    retries: int | None,
    threads: int | None,
    gpus: float | None,
    engine: str,
    workers: int | None,
    address: str | None,
    runs: Path,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Run every model with every method on every task, once for each seed, and compare them.

    FILE is like sweep.toml; that of this folder is used where none is named. What is done is never run again: the same
    command goes on where it was stopped, and tries again what failed.

    \b
    Exit codes:
      0   every cell that fits is done, whatever its verdict: the report says which are better
      1   a cell failed; the report has its error
      2   what was asked for cannot be done, or nothing fits
      130 stopped by Ctrl-C; what was done stays
    """  # noqa: D301 - click's mark for lines to leave as they are
    from harness.cli.run import parse_change, quiet_libraries
    from harness.sweeps import SWEEP_RUNNERS
    from harness.sweeps.runner import Workplace
    from harness.sweeps.settings import load_sweep

    SWEEP_RUNNERS.require(engine)
    given: dict[str, object] = {
        axis: split(named) for axis, named in (("tasks", tasks), ("models", models), ("methods", methods)) if named
    }
    if seeds is not None:
        given["seeds"] = [parse_seed(seed) for seed in split(seeds)]
    plain = (("name", name), ("retries", retries), ("threads", threads), ("gpus", gpus))
    given |= {setting: value for setting, value in plain if value is not None}
    sweep = load_sweep(file, given, dict(map(parse_change, changes)))
    if address is not None and engine != "ray":
        raise SettingsError("--address names a cluster, and --engine is not ray.", fix="Add --engine ray.")
    quiet_libraries(bars=False)

    from harness.gate import ExitCode
    from harness.sweeps.plan import plan_sweep
    from harness.sweeps.run import require_cells, run_sweep

    with SWEEP_RUNNERS[engine](sweep, Workplace(workers=workers, address=address)) as opened:
        if dry_run:
            plan = plan_sweep(sweep, opened, say=lambda _: None)
        else:
            done = run_sweep(sweep, opened, runs=runs, say=lambda line: say(line, err=True))
    if dry_run:
        list_plan(plan, sweep, runs)
        require_cells(plan)
        return
    if as_json:
        say(json.dumps({**done.facts, "folder": str(done.folder)}, indent=2, ensure_ascii=False))
    else:
        from rich.console import Console

        from harness.report.sweeps.terminal import print_sweep

        print_sweep(done.facts, Console())
    say(f"Written to {done.folder}", err=True)
    context.exit(ExitCode.PASSED if done.complete else ExitCode.FAILED)


def split(named: str) -> list[str]:
    """The names of a list with commas."""
    return [name.strip() for name in named.split(",") if name.strip()]


def parse_seed(seed: str) -> int:
    """A seed of the command line."""
    if not seed.isdecimal():
        raise SettingsError(f'--seeds: "{seed}" is no seed.', fix="Give whole numbers, as --seeds 1,2,3.")
    return int(seed)


def list_plan(plan: Plan, sweep: Sweep, runs: Path) -> None:
    """Print a line for each cell, and what there is to do."""
    from harness.sweeps.store import Store

    store = Store(runs / sweep.name)
    done = [key for key in plan.orders if store.is_done(key)]
    for key, order in plan.orders.items():
        say(f"{key}  {'done ' if key in done else 'to do'}  {order.cell}")
    for entry in plan.unfit:
        say(f"{'-' * 16}  unfit  {entry.task}, {entry.model}, {entry.method}: {entry.reason}")
    for group, failure in plan.refused:
        say(f"{'-' * 16}  error  {group}: {failure}")
    unfit = sum(entry.cells for entry in plan.unfit)
    say(
        f"{len(plan.orders) - len(done)} to do, {len(done)} done, {unfit} do not fit, "
        f"{plan.refused_cells} cannot be used."
    )
