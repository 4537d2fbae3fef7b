"""Verbalisers: of all labels the one whose whole name a model finds likeliest behind the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from harness.data.rows import Row
from harness.errors import SettingsError
from harness.forms.likelihood import measure_likelihood
from harness.metrics.metric import Output
from harness.models.loading import LoadedModel

if TYPE_CHECKING:
    from harness.forms.writing import Writing


def choose_labels(form: Writing, loaded: LoadedModel, rows: Sequence[Row]) -> list[Output]:
    """The likeliest label of each row; of equal ones the first.

    In sum over its tokens a long name is rarely likely; as a mean, the choice no longer depends on how many they are.
    """
    nats, tokens = measure_labels(form, loaded, rows)
    cost = nats / tokens if form.experiment.prompt.answer == "likeliest-per-token" else nats
    return [Output(text=form.labels[best]) for best in cost.argmin(axis=1)]


def measure_labels(
    form: Writing, loaded: LoadedModel, rows: Sequence[Row]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How likely each label is as the whole answer to each row's prompt: all of its tokens, and the EOS behind them.

    So names that begin alike are told apart, and one that is the beginning of another.

    Args:
        form: has the labels, and writes the prompts.
        loaded: the model; it is not changed.
        rows: what is asked; their targets are not looked at.

    Returns:
        Negative log-likelihoods in nats and numbers of tokens, (rows, labels) float64 each.

    Raises:
        SettingsError: a label is longer than a target may be.

    Source: Brown et al. 2020, "Language Models are Few-Shot Learners", section 2.4.
    """
    prompts = form.write_prompts(rows, loaded.tokenizer)
    encoding = form.experiment.encoding.model_copy(update={"loss_on": "target"})
    experiment = form.experiment.model_copy(update={"encoding": encoding})
    asked = replace(form, ask=lambda _, __: prompts, experiment=experiment)
    collator, size = asked.make_collator(loaded), experiment.generation.batch_size
    measured = []
    for label in form.labels:
        encoded = asked.encode([replace(row, target=label, references=()) for row in rows], loaded)
        if any(row.target_cut for row in encoded):
            raise SettingsError(
                f'The label "{label}" has more tokens than encoding.max_target_tokens = {encoding.max_target_tokens}.',
                why="Names that begin alike would become one.",
                fix="Raise encoding.max_target_tokens.",
            )
        measured.append(measure_likelihood(loaded.model, encoded, collator, batch_size=size))
    nats, tokens = np.array(measured, dtype=np.float64).transpose(2, 1, 0)
    return nats, tokens
