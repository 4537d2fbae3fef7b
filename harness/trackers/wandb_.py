"""Results to Weights & Biases: settings, scores, the loss of each step, and the report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import wandb

from harness.trackers import list_scores, list_settings

if TYPE_CHECKING:
    from harness.report.account import Account


def track(account: Account, folder: Path) -> str:
    """Write one run, online or offline as ``WANDB_MODE`` says; the project is the experiment, unless ``WANDB_PROJECT``
    names another.
    """
    facts = account.facts
    project = wandb.Settings().project or facts["experiment"]
    with wandb.init(project=project, name=folder.name, config=list_settings(account), dir=str(folder)) as run:
        for step, loss in enumerate(account.losses, start=1):
            run.log({"loss": loss}, step=step)
        run.summary.update(
            {**list_scores(account), **{name: facts[name] for name in ("outcome", "passed", "exit_code")}}
        )
        run.save(str(folder / "report.html"), base_path=str(folder), policy="now")
        return f"W&B: {run.url or run.dir}"
