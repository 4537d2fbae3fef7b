"""A run on disk: ``runs/<experiment>/<time>-<hash>/``."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.atomic import whole_folder
from harness.baselines.store import name_seed
from harness.data.rows import list_ledger
from harness.errors import UsageError
from harness.places import place_inside
from harness.report.account import Account, give_account, write_account, write_lines, write_text
from harness.report.markdown import write_markdown

if TYPE_CHECKING:
    from harness.experiment import Run
    from harness.report.checks import CheckLine

DEFAULT_FOLDER = Path("runs")


def write_run(run: Run, runs: Path = DEFAULT_FOLDER, *, checks: tuple[CheckLine, ...] = ()) -> Path:
    """Write both arms, the rows, the losses and the reports; the folder appears as a whole or not at all.

    Returns:
        The new folder.
    """
    folder = place_inside(runs, run.experiment.name, "an experiment") / name_folder(run.tuned.outputs_hash)
    account = give_account(run, checks)
    with whole_folder(folder) as fresh:
        write_evidence(run, account, fresh)
        write_reports(account, fresh)
    keep_out_of_git(runs)
    return folder


def write_evidence(run: Run, account: Account, folder: Path) -> None:
    """Write all of a run from which its reports are made, and nothing that can be made anew."""
    write_account(account, folder)
    for arm in run.others:
        arm.write(folder / name_seed(arm))
    write_lines(folder / "ledger.jsonl", list_ledger(run.splits))


def name_folder(outputs_hash: str) -> str:
    """The name of a new folder: the moment, in UTC, and the beginning of a hash of what was found."""
    return f"{datetime.now(UTC).strftime('%Y%m%dT%H%M%S.%fZ')}-{outputs_hash[:8]}"


def write_reports(account: Account, folder: Path) -> None:
    """Write ``report.md`` and ``report.html``."""
    from harness.report.html import write_html  # noqa: PLC0415 - matplotlib is slow to import; a typo need not wait

    write_text(folder / "report.md", write_markdown(account))
    write_text(folder / "report.html", write_html(account))


def keep_out_of_git(runs: Path) -> None:
    """Runs are large and made anew: git need not see them, whatever the project ignores."""
    if not (runs / ".gitignore").exists():
        write_text(runs / ".gitignore", "*\n")


def require_writable(runs: Path, experiment: str) -> None:
    """Make sure, before an hour of training, that the run can be written afterwards.

    Raises:
        UsageError: it cannot, or its name leads out of the folder.
    """
    wanted = place_inside(runs.absolute(), experiment, "an experiment")
    place = next(folder for folder in (wanted, *wanted.parents) if os.path.lexists(folder))
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".harness-"):
            pass
    except OSError as error:
        raise UsageError(
            f"Runs cannot be written to {runs}: {place} is not writable ({error.strerror}).",
            fix="Name another folder with --runs.",
        ) from error
