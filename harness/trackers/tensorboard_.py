"""Results to TensorBoard: scores, the loss of each step, settings and the report, beside the run's own files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from torch.utils.tensorboard import SummaryWriter

from harness.report.markdown import write_markdown, write_table
from harness.trackers import list_scores, list_settings

if TYPE_CHECKING:
    from harness.report.account import Account


def track(account: Account, folder: Path) -> str:
    """Write event files into the run's folder, so that ``tensorboard --logdir runs`` shows all runs."""
    place = folder / "tensorboard"
    with SummaryWriter(str(place)) as writer:
        for name, score in list_scores(account).items():
            writer.add_scalar(name, score)
        for step, loss in enumerate(account.losses, start=1):
            writer.add_scalar("loss", loss, step)
        writer.add_text("settings", "\n".join(write_table(("setting", "value"), list_settings(account).items())))
        writer.add_text("report", write_markdown(account))
    return f"tensorboard --logdir {folder.parents[1]}"
