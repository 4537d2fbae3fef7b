"""``harness report``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from harness.cli.say import say


@click.command("report")
@click.argument("run_folder", type=click.Path(path_type=Path))
@click.option(
    "--checks", type=click.Path(path_type=Path), help="A JSON list of checks to show: name, status, seen, remedy."
)
def report_command(run_folder: Path, checks: Path | None) -> None:
    """Write report.md and report.html anew from the run in RUN_FOLDER."""
    from harness.report.account import as_written, read_account
    from harness.report.checks import read_checks
    from harness.report.folder import write_reports

    account = read_account(run_folder)
    if checks is not None:
        account = replace(account, checks=read_checks(checks))
    with as_written(run_folder):
        write_reports(account, run_folder)
    say(f"Written: {run_folder / 'report.md'} and {run_folder / 'report.html'}")
