"""Trackers, each by reading back what it stored: a real MLflow on SQLite, TensorBoard's files, W&B offline."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli.run import send
from harness.errors import NameUnknownError, UsageError
from harness.report.account import Account, read_account
from harness.report.folder import write_run
from harness.trackers import PACKAGES, TRACKERS, list_scores, list_settings, require_tracker
from tests.runs import make_run
from tests.small import SMALL
from tests.test_cli import as_options, call


@pytest.fixture(autouse=True)
def tells_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trackers' own statistics stay off."""
    for name in ("DO_NOT_TRACK", "MLFLOW_DISABLE_TELEMETRY"):
        monkeypatch.setenv(name, "true")
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Account, Path]:
    folder = write_run(make_run([20.0, 21.0] * 20, [40.0, 43.0] * 20), tmp_path / "runs")
    return read_account(folder), folder


@pytest.mark.filterwarnings("default")
def test_mlflow_on_sqlite(stored: tuple[Account, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings, scores, every loss, the verdict and the report come back from the database."""
    mlflow = pytest.importorskip("mlflow")
    pytest.importorskip("sqlalchemy")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path / 'mlflow.db'}")
    account, folder = stored
    where = TRACKERS["mlflow"](account, folder)
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("x")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_id in where
    assert run.info.status == "FINISHED"
    assert run.data.params == list_settings(account)
    assert run.data.params["training.epochs"] == "8"
    assert run.data.metrics == {**list_scores(account), "loss": 1.0}
    assert run.data.metrics["delta/rouge1"] == 21.0
    assert {name: run.data.tags[name] for name in ("outcome", "passed")} == {"outcome": "improved", "passed": "True"}
    losses = client.get_metric_history(run.info.run_id, "loss")
    assert sorted((point.step, point.value) for point in losses) == [(1, 3.0), (2, 1.0)]
    assert {"report.html", "tuned"} <= {entry.path for entry in client.list_artifacts(run.info.run_id)}
    assert mlflow.active_run() is None


@pytest.mark.filterwarnings("default")
def test_tensorboard_reads_its_files(stored: tuple[Account, Path]) -> None:
    """TensorBoard's own reader finds the losses at their steps, all scores, and the report."""
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415

    account, folder = stored
    TRACKERS["tensorboard"](account, folder)
    events = EventAccumulator(str(folder / "tensorboard"))
    events.Reload()
    assert [(point.step, point.value) for point in events.Scalars("loss")] == [(1, 3.0), (2, 1.0)]
    scores = list_scores(account)
    assert {name: events.Scalars(name)[0].value for name in scores} == pytest.approx(scores)
    (report,) = events.Tensors("report/text_summary")
    assert b"# x: improved" in report.tensor_proto.string_val[0]


@pytest.mark.filterwarnings("default")
def test_wandb_offline(stored: tuple[Account, Path], tmp_path: Path) -> None:
    """Offline, W&B writes a run's file that holds the scores; no account and no network are asked for."""
    pytest.importorskip("wandb")
    account, folder = stored
    program = (
        "import sys; from pathlib import Path; from harness.report.account import read_account; "
        "from harness.trackers import TRACKERS; folder = Path(sys.argv[1]); "
        "print(TRACKERS['wandb'](read_account(folder), folder))"
    )
    environment = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true", "HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program, str(folder)], check=True, env=environment, timeout=120)
    (written,) = folder.rglob("*.wandb")
    assert str(list_scores(account)["delta/rouge1"]).encode() in written.read_bytes()


def test_tracker_that_is_missing_is_found_before_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """A typo suggests the right name; a package that is not installed is named with its remedy."""
    with pytest.raises(NameUnknownError, match='Did you mean "mlflow"'):
        require_tracker("mlfow")
    monkeypatch.setitem(PACKAGES, "wandb", "surely_not_installed")
    with pytest.raises(UsageError, match="pip install surely_not_installed"):
        require_tracker("wandb")


def fail(*_: object) -> str:
    """A tracker whose server does not answer."""
    raise ConnectionError("no server")


def test_tracker_that_fails_costs_no_verdict(stored: tuple[Account, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """What the tracker raised is said in one line."""
    monkeypatch.setitem(TRACKERS._places, "mlflow", f"{__name__}:{fail.__name__}")
    assert send("mlflow", *stored) == "mlflow could not be told: ConnectionError: no server"


def test_run_tells_its_trackers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--track`` is looked at before anything trains, and told when the run is on disk."""
    pytest.importorskip("tensorboard")
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, "run", "--track", "tensorbord") == 2
    assert "tensorboard" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
    monkeypatch.setenv("HARNESS_TRACK", "tensorboard")
    call(monkeypatch, "run", *as_options(SMALL))
    assert "tensorboard --logdir runs" in capsys.readouterr().err
    assert list((tmp_path / "runs").rglob("events.out.tfevents.*"))
