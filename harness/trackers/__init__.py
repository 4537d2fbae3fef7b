"""Where results can be sent besides the run's folder: one module a tracker, imported when it is asked for."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.registry import Registry

if TYPE_CHECKING:
    from harness.report.account import Account

Tracker = Callable[["Account", Path], str]
"""Takes a run's account and the folder it was written to; returns where the results can be seen."""

PACKAGES = {"mlflow": "mlflow", "tensorboard": "tensorboard", "wandb": "wandb"}
"""Each tracker's package, which the harness does without."""
TRACKERS: Registry[Tracker] = Registry("tracker", {name: f"harness.trackers.{name}_:track" for name in PACKAGES})


def require_tracker(name: str) -> None:
    """Make sure, before an hour of training, that results can be sent afterwards.

    Raises:
        NameUnknownError: there is no such tracker.
        UsageError: its package is not installed.
    """
    TRACKERS.require(name)
    if importlib.util.find_spec(PACKAGES[name]) is None:
        raise UsageError(f"{PACKAGES[name]} is not installed.", fix=f"pip install {PACKAGES[name]}, or leave it out.")


def list_settings(account: Account) -> dict[str, str]:
    """Every setting of the experiment by its path, as ``training.epochs``."""
    return dict(_flatten("", account.experiment.model_dump(mode="json")))


def list_scores(account: Account) -> dict[str, float]:
    """Scores of both arms and their deltas, as ``tuned/rouge1``."""
    return {
        f"{name}/{entry['metric']}": float(entry[key])
        for entry in account.comparison["metrics"]
        for name, key in (("base", "against"), ("tuned", "candidate"), ("delta", "delta"))
    }


def _flatten(path: str, value: object) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _flatten(f"{path}.{name}" if path else name, part)
    else:
        yield path, str(value)
