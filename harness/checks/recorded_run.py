"""One recorded training, shared by the checks of the training stage, and what can be read from it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from harness.checks.check import CheckSkipped
from harness.checks.evidence import Evidence, Row, trained_model
from harness.checks.recorder import Call, Recording, is_wrapped, named_weights, record, state_of

ROWS, EPOCHS, BATCH_SIZE, ACCUMULATION = 11, 2, 2, 2
"""An epoch is then 6 batches, the last of one row, in 3 optimizer steps."""

Ids = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A short training of the user's, recorded.

    Args:
        before: the weights that it began with.
        meant: the parameters that were meant to move.
        trained: the model, in the mode in which it came back.
        recording: what was heard.
        rows: what it learned from.
    """

    before: dict[str, torch.Tensor] = field(repr=False)
    meant: frozenset[str]
    trained: torch.nn.Module = field(repr=False)
    recording: Recording = field(repr=False)
    rows: list[Row] = field(repr=False)

    def value_before(self, name: str) -> torch.Tensor | None:
        """A parameter before training; one that was added then, before its first step; nothing where it had none."""
        value = self.before.get(own_name(name))
        return self.recording.first.get(name) if value is None else value


def recorded_run(evidence: Evidence) -> Run:
    """Train a fresh base on a few rows, once an audit.

    Raises:
        CheckSkipped: no optimizer of torch took a step.
    """
    run = evidence.remember("recorded run", lambda: _record_run(evidence))
    if not run.recording.steps:
        raise CheckSkipped("training took no step of a torch optimizer, so there is nothing to look at")
    return run


def _record_run(evidence: Evidence) -> Run:
    model = model_to_train(evidence)
    before, rows = state_of(model), evidence.rows(ROWS)
    requires = {name for name, entry in named_weights(model).items() if entry.requires_grad}
    options = {"epochs": EPOCHS, "batch_size": BATCH_SIZE, "accumulation": ACCUMULATION}
    with record(model, gradients=1) as recording:
        trained = trained_model(train(evidence, model, rows, eval_rows=evaluation_rows(evidence), **options))
    after = named_weights(trained)
    patterns = evidence.declared("trainable")
    if patterns is not None:
        meant = {name for name in after if any(re.search(pattern, name) for pattern in patterns)}
    elif is_wrapped(trained) and not is_wrapped(model):
        meant = (
            after.keys() - {own_name(name) for name in before} - {name for name in after if own_name(name) in before}
        )
    else:
        meant = requires
    return Run(before=before, meant=frozenset(meant), trained=trained, recording=recording, rows=rows)


def own_name(name: str) -> str:
    """The name that a parameter had before a layer of an adapter was put round it."""
    return name.replace(".base_layer.", ".").replace(".original_module.", ".")


def model_to_train(evidence: Evidence, seed: int = 0) -> torch.nn.Module:
    """A fresh base, with a fresh adapter where the pipeline has one."""
    base = evidence.model(seed)
    if not evidence.has("adapters.wrap"):
        return base
    wrapped: torch.nn.Module = evidence.call("adapters.wrap", base)
    return wrapped


def train(evidence: Evidence, model: torch.nn.Module, rows: Sequence[Row], **options: Any) -> Any:
    """What the user's training returns; the folder that it may write to is gone afterwards."""
    with TemporaryDirectory() as name:
        return evidence.call("train", model, list(rows), **{"folder": Path(name), "seed": evidence.seed, **options})


def evaluation_rows(evidence: Evidence, count: int = 4) -> list[Row]:
    """Rows to score: those of another split than the training's, where there is one."""
    splits = evidence.splits() if evidence.has("splits") else {}
    others = next((rows for name, rows in splits.items() if name != "train" and rows), None)
    return others[:count] if others else evidence.rows(ROWS + count)[-count:]


def sequences(call: Call) -> list[Ids]:
    """The token ids of each row of a call, without padding.

    Raises:
        CheckSkipped: the model was called with something else than ids.
    """
    ids = call.inputs.get("input_ids")
    if ids is None or ids.ndim != 2:  # noqa: PLR2004 - (batch, length)
        raise CheckSkipped("the model is not called with input_ids, so it cannot be told which rows it reads")
    mask = call.inputs.get("attention_mask")
    if mask is None or mask.shape != ids.shape:
        mask = torch.ones_like(ids)
    return [tuple(row[kept.bool()].tolist()) for row, kept in zip(ids, mask, strict=True)]


def count_readings(features: Iterable[Ids], read: Iterable[Ids]) -> dict[Ids, int]:
    """How often each feature was read, alone in a sequence or packed among others."""
    counts = Counter(map(as_text, read))
    found = {}
    for feature in set(features):
        text = as_text(feature)
        found[feature] = counts[text] or sum(times * other.count(text) for other, times in counts.items())
    return found


def as_text(ids: Ids) -> str:
    """Ids as a text in which a shorter sequence can be searched."""
    return f" {' '.join(map(str, ids))} "


def feature_ids(evidence: Evidence, rows: Sequence[Row]) -> list[Ids]:
    """The ids that the model should read for rows, one entry a feature.

    Raises:
        CheckSkipped: the features hold no input_ids.
    """
    features = evidence.features(rows)
    if evidence.has("filter_features"):
        features = evidence.call("filter_features", features)
    if not features or "input_ids" not in features[0]:
        raise CheckSkipped("the features hold no input_ids, so it cannot be told which rows the model reads")
    return [without_padding(feature) for feature in features]


def without_padding(feature: Mapping[str, Any]) -> Ids:
    """The ids of a feature where its mask is not 0."""
    ids = feature["input_ids"]
    mask = feature.get("attention_mask") or [1] * len(ids)
    return tuple(token for token, kept in zip(ids, mask, strict=False) if kept)
