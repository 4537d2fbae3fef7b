"""A run on disk: ``runs/<experiment>/<time>-<hash>/``."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from harness.atomic import locked, probe, whole_folder, write_whole
from harness.baselines.store import name_seed
from harness.data.rows import list_ledger
from harness.errors import UsageError
from harness.places import place_inside
from harness.report.account import Account, give_account, write_account, write_lines
from harness.report.markdown import write_markdown

if TYPE_CHECKING:
    from harness.experiment import Run
    from harness.report.checks import CheckLine

DEFAULT_FOLDER = Path("runs")
MOMENT = "%Y%m%dT%H%M%S.%fZ"
"""How the name of a run's folder begins."""
NAMES = f"*Z-{'[0-9a-f]' * 8}"
"""Which folders are those of runs."""


def write_run(run: Run, runs: Path = DEFAULT_FOLDER, *, checks: tuple[CheckLine, ...] = ()) -> Path:
    """Write both arms, the rows, the losses and the reports; the folder appears as a whole or not at all.

    Returns:
        The new folder.
    """
    folder = name_folder(place_inside(runs, run.experiment.name, "an experiment"), run.tuned.outputs_hash)
    account = give_account(run, checks)
    with new_run(runs, folder) as fresh:
        write_evidence(run, account, fresh)
        write_reports(account, fresh)
    keep_out_of_git(runs)
    return folder


@contextmanager
def new_run(runs: Path, folder: Path) -> Iterator[Path]:
    """Write into the yielded folder, which becomes that of the run.

    One process at a time writes runs. So what lies half-written beside it was left by one that was killed, and goes.

    Args:
        runs: the folder of all experiments' runs.
        folder: the run's.

    Raises:
        UsageError: the place cannot be written.
    """
    with locked(runs):
        for left in folder.parent.glob(f".{NAMES}.new"):
            shutil.rmtree(left, ignore_errors=True)
        with whole_folder(folder) as fresh:
            yield fresh


def write_evidence(run: Run, account: Account, folder: Path) -> None:
    """Write all of a run from which its reports are made, and nothing that can be made anew."""
    write_account(account, folder)
    for arm in run.others:
        arm.write(folder / name_seed(arm))
    write_lines(folder / "ledger.jsonl", list_ledger(run.splits))


def name_folder(runs: Path, outputs_hash: str) -> Path:
    """A new folder among the runs of an experiment, named after the moment and the beginning of what was found.

    The moment is in UTC. Where the clock was set back, it is a microsecond behind the last run's: the names stand in
    the order of the runs, whatever the clock does.

    Args:
        runs: the folder of the experiment's runs.
        outputs_hash: a hash of what was found.
    """
    moments = [datetime.now(UTC)]
    for place in runs.glob(NAMES):
        with suppress(ValueError, OverflowError):
            last = datetime.strptime(place.name.partition("-")[0], MOMENT).replace(tzinfo=UTC)
            moments.append(last + timedelta(microseconds=1))
    return runs / f"{max(moments).strftime(MOMENT)}-{outputs_hash[:8]}"


def write_reports(account: Account, folder: Path) -> None:
    """Write ``report.md`` and ``report.html``; where a link stands in their place, it gives way to them."""
    from harness.report.html import write_html  # noqa: PLC0415 - matplotlib is slow to import; a typo need not wait

    for name, text in (("report.md", write_markdown(account)), ("report.html", write_html(account))):
        write_whole(folder / name, text.encode("utf-8", "replace"))


def keep_out_of_git(runs: Path) -> None:
    """Runs are large and made anew: git need not see them, whatever the project ignores."""
    if not (runs / ".gitignore").exists():
        write_whole(runs / ".gitignore", b"*\n")


def require_writable(runs: Path, experiment: str) -> None:
    """Make sure, before an hour of training, that the run can be written afterwards.

    Raises:
        UsageError: it cannot, or its name leads out of the folder.
    """
    wanted = place_inside(runs.absolute(), experiment, "an experiment")
    try:
        probe(wanted)
    except OSError as error:
        raise UsageError(
            f"Runs cannot be written to {runs}: {Path(error.filename).parent} is not writable ({error.strerror}).",
            fix="Name another folder with --runs.",
        ) from error
