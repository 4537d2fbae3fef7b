"""``harness init``."""

from __future__ import annotations

import importlib.util
import shlex
from pathlib import Path

import click

from harness.cli.say import say

STEPS = (
    ("edit harness.toml", "your rows; as it stands, generated news"),
    ("harness run", "fine-tune, compare, judge; see runs/"),
    ("pytest", "the tuned model beats its base"),
    ("git add . && git commit", "what made the baseline can be found again"),
    ("pytest --harness-update-baselines", "store what later runs are compared with"),
    ("git add baselines && git commit", "from now on nothing gets worse unseen"),
)
"""What to do next, and what for."""
WIDTH = max(len(command) for command, _ in STEPS)


@click.command("init")
@click.argument("folder", default=".", type=click.Path(path_type=Path))
@click.option("--name", help="The experiment's name; the folder's by default.")
def init_command(folder: Path, name: str | None) -> None:
    """Start a project in FOLDER: harness.toml, a test, a baselines folder, files for GitHub's CI, tox and git.

    Nothing is overwritten: where one of these files is there already, none is written. Only a .gitignore may be there:
    it stays as it is.
    """
    from harness.scaffold import IGNORED, write_project

    written = write_project(folder, name=name)
    for path in written:
        say(f"Written: {path}")
    if folder / IGNORED not in written:
        say(f"Left as it is: {folder / IGNORED}; it should leave out runs/, and keep baselines/")
    say("Next:")
    for command, purpose in (*list_preparations(folder), *STEPS):
        say(f"  {command:{WIDTH}}  {purpose}")


def list_preparations(folder: Path) -> list[tuple[str, str]]:
    """What has to be done before the first step, in this folder and with what is installed."""
    found = [(f"cd {shlex.quote(str(folder))}", "the commands below work there")] if folder != Path() else []
    if importlib.util.find_spec("pytest") is None:
        found.append(("pip install pytest", "the tests need it"))
    place = folder.absolute()
    if not any((parent / ".git").exists() for parent in (place, *place.parents)):
        found.append(("git init", "baselines are reviewed and kept in git"))
    return found
