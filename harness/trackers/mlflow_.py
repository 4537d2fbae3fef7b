"""Results to MLflow: settings, scores, the loss of each step, and the run's folder as artifacts."""

from __future__ import annotations

import os
import time
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import mlflow
from mlflow.entities import Metric

from harness.trackers import list_scores, list_settings

if TYPE_CHECKING:
    from harness.report.account import Account

BATCH = 1_000
"""MLflow takes so many values at once."""


def track(account: Account, folder: Path) -> str:
    """Write one MLflow run where ``MLFLOW_TRACKING_URI`` says; the experiment has its name, unless the environment
    names another.
    """
    facts = account.facts
    if not {"MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"} & set(os.environ):
        mlflow.set_experiment(facts["experiment"])
    with mlflow.start_run(run_name=folder.name) as run:
        mlflow.log_params(list_settings(account))
        mlflow.set_tags({"outcome": facts["outcome"], "passed": facts["passed"], "exit_code": facts["exit_code"]})
        mlflow.log_metrics(list_scores(account))
        moment = int(time.time() * 1000)
        steps = (Metric("loss", loss, moment, step) for step, loss in enumerate(account.losses, start=1))
        while batch := list(islice(steps, BATCH)):
            mlflow.MlflowClient().log_batch(run.info.run_id, metrics=batch)
        mlflow.log_artifacts(str(folder))
    return f"MLflow run {run.info.run_id} in {mlflow.get_tracking_uri()}"
