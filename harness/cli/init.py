"""``harness init``."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.say import say

NEXT = """Next:
  pytest                                the tuned model beats its base
  git add . && git commit               what made the baseline can be found again
  pytest --harness-update-baselines     store what later runs are compared with
  git add baselines && git commit       from now on nothing gets worse unseen"""


@click.command("init")
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@click.option("--name", help="The experiment's name; the folder's by default.")
def init_command(folder: Path, name: str | None) -> None:
    """Start a project in FOLDER: harness.toml, a test, a baselines folder, a GitHub workflow, a tox environment.

    Nothing is overwritten: where one of these files is there already, none is written.
    """
    from harness.scaffold import write_project

    for path in write_project(folder, name=name):
        say(f"Written: {path}")
    say(NEXT)
