"""The parts of an experiment whose method trains an adapter, so that the checks of adapters hold it to their rules."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from peft import PeftModel, PeftType
from transformers import PreTrainedModel

from harness.checks.parts import AdapterParts
from harness.checks.pipeline import Pipeline
from harness.forms import Form
from harness.methods.parameter_efficient import PeftMethod

MERGED = frozenset({PeftType.LORA})
"""Adapters that can be folded into the weights."""


def with_adapters(pipeline: Pipeline, method: PeftMethod, form: Form, *, train: Callable[..., Any]) -> Pipeline:
    """A pipeline that trains adapters: what it is given without one is wrapped first.

    Args:
        pipeline: the experiment's, as it would train all weights.
        method: the experiment's.
        form: how its task is put to its model.
        train: ``(wrapped model, rows, ...) -> model`` at the method's rate.
    """
    experiment = form.experiment
    make_model = pipeline.make_model
    assert make_model is not None  # noqa: S101 - the experiment's own pipeline has every part
    wrap = partial(method.wrap, form=form, seed=experiment.training.seed)

    def train_adapter(model: PreTrainedModel, rows: Sequence[Any], **options: Any) -> Any:
        return train(model if isinstance(model, PeftModel) else wrap(model), rows, **options)

    rate = method.scale_rate(experiment, experiment.training).learning_rate
    base = make_model(0)
    kind = method.make_config(experiment, base).peft_type
    quantized = getattr(method.freeze(base, form), "is_quantized", False)
    return replace(
        pipeline,
        make_model=lambda seed=0: method.freeze(make_model(seed), form),
        declared=replace(pipeline.declared, learning_rate=rate),
        train=train_adapter,
        adapters=AdapterParts(
            wrap=wrap,
            save=lambda model, folder: model.save_pretrained(folder),
            load=load_adapter,
            # Merged into four bits the weights would be rounded once more.
            merge=merge_adapter if kind in MERGED and not quantized else None,
            baseline=lambda model: model.disable_adapter(),
            load_each=load_each,
        ),
    )


def load_adapter(base: PreTrainedModel, folder: Path, *, trainable: bool = False) -> PeftModel:
    """A copy of the base with a saved adapter."""
    return PeftModel.from_pretrained(copy.deepcopy(base), folder, is_trainable=trainable)


def merge_adapter(model: PeftModel) -> PreTrainedModel:
    """A plain model with the adapter folded into its weights."""
    merged: PreTrainedModel = copy.deepcopy(model).merge_and_unload()
    return merged


def load_each(base: PreTrainedModel, folders: Sequence[Path]) -> Iterator[PeftModel]:
    """Saved adapters one after another, each on a base of its own."""
    return (load_adapter(base, folder) for folder in folders)
