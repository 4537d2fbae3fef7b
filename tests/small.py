"""A run small enough for a unit test: a few rows, a few steps."""

from __future__ import annotations

import os

from harness.config import Experiment, load_experiment
from harness.data.source import load_splits
from harness.models.loading import LoadedModel
from harness.tasks.summarization import SUMMARIZATION
from harness.tasks.task import Collator, EncodedRow

PATIENCE = 20.0 if "PYTEST_XDIST_WORKER" in os.environ else 2.0
"""Seconds in which a silent hub is given up; beside other tests only the minute of retries is excluded."""

SMALL: dict[str, object] = {
    "data.train_rows": 16,
    "data.eval_rows": 8,
    "training.epochs": 2,
    "gate.require": ["tuned must beat base on rouge1"],
    "gate.flips": 1000,
}
"""What makes the embedded experiment small."""


LEARNS: dict[str, object] = {**SMALL, "data.train_rows": 32, "data.eval_rows": 16, "training.epochs": 5}
"""What makes it small, and yet long enough for a detectable gain."""


def small_experiment(**changes: object) -> Experiment:
    """The embedded experiment with 16 training and 8 evaluation rows and 4 steps."""
    return load_experiment("summarization-full").override({**SMALL, **changes})


def encode_rows(loaded: LoadedModel, count: int = 16) -> tuple[list[EncodedRow], Collator]:
    """Encoded newsroom rows and their collator."""
    experiment = small_experiment(**{"data.train_rows": count})
    rows = load_splits(experiment.data).train
    encoded = SUMMARIZATION.encode(rows, loaded.tokenizer, experiment.encoding)
    return encoded, SUMMARIZATION.make_collator(loaded.tokenizer, loaded.model)
