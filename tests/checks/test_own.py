"""The harness is held to its own checks."""

from __future__ import annotations

import json

import pytest

from harness.checks.check import Status
from harness.checks.own import audit_experiment, find_pipeline, pipeline_of
from harness.checks.suite import audit, choose_checks
from harness.config import load_experiment
from harness.data.source import load_splits
from harness.tasks import TASKS
from tests.small import small_experiment

QUICK = (
    "splits-share-no-rows",
    "files-are-read-anew",
    "inputs-begin-with-the-prefix",
    "supervised-labels-decode-to-the-target",
    "a-row-does-not-depend-on-its-batch",
    "perfect-outputs-score-the-maximum",
)

LONG = ("translation", "sentiment")
"""Tasks whose experiments are made of the same parts as those of summarization and classification."""


def test_quick_checks_pass_on_the_embedded_experiment() -> None:
    """What `harness run` does with rows, labels and scores is what its checks ask of others."""
    report = audit(pipeline_of(small_experiment()), checks=choose_checks(only=QUICK))
    assert {result.check.name: result.status for result in report.results} == dict.fromkeys(QUICK, Status.PASSED)


def test_a_bug_in_the_harness_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the labels' padding not masked, the same checks would be red."""
    monkeypatch.setattr("harness.forms.encoder_decoder.IGNORE_INDEX", 0)
    report = audit(
        pipeline_of(small_experiment()), checks=choose_checks(only=("supervised-labels-decode-to-the-target",))
    )
    assert report.results[0].status is Status.FAILED


def test_named_pipeline_takes_the_place_of_the_own() -> None:
    """Where the settings name a pipeline, that one is checked."""
    place = "harness.defects.reference.classifier:PIPELINE"
    assert find_pipeline(small_experiment(**{"checks.pipeline": place})).name == "classifier"
    assert find_pipeline(small_experiment()).name == "summarization-full"


@pytest.mark.parametrize("name", list(TASKS))
def test_rows_survive_being_written_as_records(name: str) -> None:
    """A task reads back what it writes: the very same row, also through JSON."""
    task = TASKS[name]
    for row in load_splits(small_experiment().data, task).train:
        record = json.loads(json.dumps(task.write(row)))
        assert task.read_record(record, 0) == row


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.long if name in LONG else pytest.mark.slow) for name in TASKS],
)
def test_every_embedded_experiment_passes_every_check(name: str) -> None:
    """No check fails on what the harness itself does."""
    report = audit_experiment(load_experiment(f"{name}-full"))
    assert [f"{result.check.name}: {result.seen}" for result in report.bad] == []
    assert report.passed
