"""A run small enough for a unit test: a few rows, a few steps."""

from __future__ import annotations

import os
from typing import Any

import pytest

from harness import scoring
from harness.config import EncodingSettings, Experiment, load_experiment
from harness.data.source import load_splits
from harness.forms.encoder_decoder import EncoderDecoder
from harness.lesson import Lesson
from harness.models.loading import LoadedModel
from harness.tasks.summarization import SUMMARIZATION
from harness.tasks.task import EncodedRow, flatten

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


def make_form(encoding: EncodingSettings | None = None, **changes: object) -> EncoderDecoder:
    """Summarization with an encoder-decoder, and maybe other settings of the encoding."""
    experiment = small_experiment(**changes)
    if encoding is not None:
        experiment = experiment.model_copy(update={"encoding": encoding})
    return EncoderDecoder(task=SUMMARIZATION, experiment=experiment)


def make_lesson(loaded: LoadedModel, count: int = 16) -> Lesson:
    """Newsroom rows to learn."""
    encoded, collator = encode_rows(loaded, count), make_form().make_collator(loaded)
    return Lesson(tokenizer=loaded.tokenizer, features=flatten(encoded), collator=collator)


def encode_rows(loaded: LoadedModel, count: int = 16) -> list[EncodedRow]:
    """Newsroom rows as token ids."""
    form = make_form(**{"data.train_rows": count})
    return form.encode(load_splits(form.experiment.data, SUMMARIZATION).train, loaded)


def count_scored(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """A list that grows by the number of rows with each arm whose outputs are made."""
    made: list[int] = []
    predict = scoring.predict_in_parts

    def count(how: Any, rows: Any, *others: Any) -> Any:
        made.append(len(rows))
        return predict(how, rows, *others)

    monkeypatch.setattr(scoring, "predict_in_parts", count)
    return made
