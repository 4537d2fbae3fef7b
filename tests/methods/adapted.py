"""Adapters on the embedded models, made as the methods make them, without the time that training takes."""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftModel

from harness.config import Experiment, load_experiment
from harness.data.source import load_splits
from harness.forms import Form, choose_form
from harness.methods import METHODS
from harness.models.loading import LoadedModel
from harness.tasks import TASKS

PRESETS = {"tiny-t5": "summarization-full", "tiny-llama": "generation-full", "tiny-bert": "classification-full"}
"""A preset of each embedded model."""
IDS = torch.tensor([[5, 9, 14, 20, 33, 1], [7, 8, 100, 3, 11, 1]])
"""Token ids that all of them know."""


def make_experiment(method: str, model: str = "tiny-t5", **changes: object) -> Experiment:
    """A preset with a few short rows and another method."""
    small = {"data.train_rows": 16, "data.eval_rows": 8, "encoding.max_input_tokens": 64, "training.epochs": 2}
    return load_experiment(PRESETS[model]).override({**small, "method": method, **changes})


def load_form(experiment: Experiment) -> tuple[Form, LoadedModel]:
    """The experiment's form, and its base."""
    form = choose_form(experiment)
    return form, form.load(load_splits(experiment.data, TASKS[experiment.task]).train)


def wrap(method: str, model: str = "tiny-t5", **changes: object) -> tuple[Any, PeftModel]:
    """A base, and a copy of it with a fresh adapter."""
    form, loaded = load_form(make_experiment(method, model, **changes))
    return loaded.model, METHODS[method].wrap(loaded.model, form, seed=1)


def excite(model: torch.nn.Module, part: str, seed: int = 0) -> torch.nn.Module:
    """The same model, in eval mode, with noise on the parameters whose names hold ``part``."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, entry in model.named_parameters():
            if part in name:
                entry.add_(torch.randn(entry.shape, generator=generator), alpha=0.2)
    return model.eval()


@torch.no_grad()
def logits_of(model: Any) -> torch.Tensor:
    """The logits of the ids: (2, length, ...) float32."""
    extra = {"decoder_input_ids": IDS} if model.config.is_encoder_decoder else {}
    logits: torch.Tensor = model.eval()(input_ids=IDS, **extra).logits
    return logits
