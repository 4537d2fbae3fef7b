"""Causal models for tests: small shapes with random weights, over small and real tokenizers."""

from __future__ import annotations

from pathlib import Path

from harness.config import load_experiment
from harness.defects.reference.models import make_gpt2, make_llama
from harness.defects.reference.tokenizers import causal_tokenizer, real_tokenizer
from harness.forms.causal import Causal
from harness.models.loading import LoadedModel
from harness.tasks import TASKS
from tests.small import SMALL

LOUD = 0.6
"""The spread of the weights: with that of a fresh model all prompts would get the same answer."""


def load_small(kind: str, shared_data: Path | None = None) -> LoadedModel:
    """A model: "llama" over the small tokenizer, "gpt2" (pad is EOS) and "phi" over their makers' own."""
    if kind == "gpt2":
        assert shared_data is not None
        tokenizer = real_tokenizer(shared_data / "tokenizers" / "gpt2")
        model = make_gpt2(tokenizer, 0, initializer_range=LOUD)
    elif kind == "phi":
        assert shared_data is not None
        tokenizer = real_tokenizer(shared_data / "tokenizers" / "phi-3-mini-chat")
        model = make_llama(tokenizer, 0, initializer_range=LOUD)
    else:
        tokenizer = causal_tokenizer()
        model = make_llama(tokenizer, 0, initializer_range=LOUD)
    return LoadedModel(name=kind, model=model, tokenizer=tokenizer)


def save_small(folder: Path) -> Path:
    """The folder of a Llama with the small tokenizer, weights as of a fresh model."""
    tokenizer = causal_tokenizer()
    make_llama(tokenizer, 0).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_causal(task: str = "summarization", **changes: object) -> Causal:
    """A task put to a causal model, with 16 training and 8 evaluation rows; settings are named as group__name."""
    settings = {name.replace("__", "."): value for name, value in changes.items()}
    return Causal(task=TASKS[task], experiment=load_experiment("summarization-full").override({**SMALL, **settings}))
