"""A run on disk: ``runs/<experiment>/<time>-<hash>/``."""

from __future__ import annotations

import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from harness.atomic import whole_folder
from harness.baselines.store import name_seed
from harness.data.rows import write_ledger
from harness.errors import UsageError
from harness.report.facts import describe_run
from harness.report.markdown import write_markdown

if TYPE_CHECKING:
    from harness.experiment import Run

DEFAULT_FOLDER = Path("runs")


def write_run(run: Run, runs: Path = DEFAULT_FOLDER) -> Path:
    """Write both arms, the ledger, the losses and the reports; the folder appears as a whole or not at all.

    Returns:
        The new folder.
    """
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    folder = runs / run.experiment.name / f"{moment}-{run.tuned.outputs_hash[:8]}"
    with whole_folder(folder) as fresh:
        run.base.write(fresh / "base")
        run.tuned.write(fresh / "tuned")
        for arm in run.others:
            arm.write(fresh / name_seed(arm))
        losses = [json.dumps({"loss": loss, "step": step}) + "\n" for step, loss in enumerate(run.losses, start=1)]
        _write(fresh / "losses.jsonl", "".join(losses))
        _write(fresh / "ledger.jsonl", write_ledger(run.splits))
        _write(fresh / "experiment.json", run.experiment.model_dump_json(indent=2) + "\n")
        verdict = json.dumps(describe_run(run), indent=2, ensure_ascii=False, allow_nan=False)
        _write(fresh / "verdict.json", verdict + "\n")
        _write(fresh / "report.md", write_markdown(run))
    return folder


def require_writable(runs: Path, experiment: str) -> None:
    """Make sure, before an hour of training, that the run can be written afterwards.

    Raises:
        UsageError: it cannot.
    """
    wanted = runs.absolute() / experiment
    place = next(folder for folder in (wanted, *wanted.parents) if os.path.lexists(folder))
    try:
        with tempfile.TemporaryDirectory(dir=place, prefix=".harness-"):
            pass
    except OSError as error:
        raise UsageError(
            f"Runs cannot be written to {runs}: {place} is not writable ({error.strerror}).",
            fix="Name another folder with --runs.",
        ) from error


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
