"""``harness baseline``."""

from __future__ import annotations

from pathlib import Path

import click

from harness.arm import Arm
from harness.baselines import accept_run, list_baselines, newest_run

FOLDER = click.Path(path_type=Path)
BASELINES = click.option(
    "--baselines", default="baselines", show_default=True, type=FOLDER, help="Where stored arms are."
)


@click.group("baseline")
def baseline() -> None:
    """List the stored arms, or store those of a run."""


@baseline.command("accept")
@click.argument("experiment")
@click.option("--run", "run_folder", type=FOLDER, help="The run to store; the experiment's last one by default.")
@click.option("--runs", default="runs", show_default=True, type=FOLDER, help="Where runs are written.")
@BASELINES
def accept(experiment: str, run_folder: Path | None, runs: Path, baselines: Path) -> None:
    """Store both arms of a run of EXPERIMENT as the baseline that later runs are compared with."""
    chosen = run_folder or newest_run(runs, experiment)
    place = accept_run(chosen, experiment, baselines)
    click.echo(f"Stored {chosen} as {place}.")
    for arm in list_baselines(baselines, experiment):
        click.echo(describe(arm))
    click.echo(f"Look at the difference and commit it: git add -N {place}; git diff {place}")


@baseline.command("list")
@BASELINES
def show_list(baselines: Path) -> None:
    """List the stored arms and their scores."""
    arms = list_baselines(baselines)
    if not arms:
        click.echo(f"No arm is stored in {baselines}.")
    for arm in arms:
        click.echo(describe(arm))


def describe(arm: Arm) -> str:
    """An arm in one line."""
    scores = ", ".join(f"{name} {score:.2f}" for name, score in arm.manifest.scores.items())
    return f"{arm.manifest.experiment}  {arm.manifest.role:5}  {len(arm.rows)} rows  {scores}"
