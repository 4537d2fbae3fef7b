"""A run on disk: ``runs/<experiment>/<time>-<hash>/``."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

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
    fresh = folder.with_name(f".{folder.name}.{os.getpid()}")
    fresh.mkdir(parents=True)
    run.base.write(fresh / "base")
    run.tuned.write(fresh / "tuned")
    _write(fresh / "ledger.jsonl", write_ledger(run.splits))
    _write(
        fresh / "losses.jsonl", "".join(f"{json.dumps({'loss': x, 'step': n})}\n" for n, x in enumerate(run.losses, 1))
    )
    _write(fresh / "experiment.json", run.experiment.model_dump_json(indent=2) + "\n")
    _write(fresh / "verdict.json", json.dumps(describe_run(run), indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    _write(fresh / "report.md", write_markdown(run))
    fresh.rename(folder)
    return folder


def require_writable(runs: Path) -> None:
    """Make sure, before an hour of training, that the run can be written afterwards.

    Raises:
        UsageError: it cannot.
    """
    place = next(folder for folder in (runs, *runs.absolute().parents) if folder.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise UsageError(
            f"Runs cannot be written to {runs}: {place} is not writable.", fix="Name another folder with --runs."
        )


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
