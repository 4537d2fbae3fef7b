"""Clean LoRA pipelines with PEFT: an encoder-decoder, GPT-2 with its Conv1D layers, a classifier with its head."""

from __future__ import annotations

import copy
import importlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from harness.checks.parts import AdapterParts, ComparisonParts
from harness.checks.pipeline import Pipeline
from harness.defects.reference import causal, classifier, models, seq2seq, tokenizers
from harness.errors import UsageError

RANK = 4
ALPHA = 8
T5_TARGETS = ("q", "v")
GPT2_TARGETS = ("attn.c_attn", "attn.c_proj")
BERT_TARGETS = ("query", "value")
KEPT = (
    "declared", "splits", "encode", "collate", "make_model", "train",
)  # fmt: skip
"""What an adapter needs of the pipeline around it."""


def peft() -> Any:
    """The PEFT library.

    Raises:
        UsageError: it is not installed.
    """
    try:
        return importlib.import_module("peft")
    except ImportError as error:
        raise UsageError("The LoRA pipelines need PEFT, which is not installed.", fix="pip install peft") from error


def make_pipeline(around: Pipeline, targets: Sequence[str], *, name: str, head: str | None = None) -> Pipeline:
    """A pipeline with LoRA on the layers that ``targets`` name; ``head`` is trained and saved with it."""
    return Pipeline(
        name=name,
        **{part: getattr(around, part) for part in KEPT},
        adapters=AdapterParts(
            wrap=partial(wrap_base, targets, head),
            save=save_adapter,
            load=load_adapter,
            merge=merge_adapter,
            baseline=lambda model: model.disable_adapter(),
            load_each=load_each,
        ),
    )


def make_arms(
    around: Pipeline, wrap: Callable[..., Any], load: Callable[..., Any], *, epochs: int = 30
) -> dict[str, dict[str, Any]]:
    """What base and tuned say of a few rows, the tuned model loaded from its saved adapter."""
    assert around.make_model and around.train and around.splits  # noqa: S101, PT018 - of the reference
    rows = around.splits()["train"][:4]
    base = around.make_model(0)
    with TemporaryDirectory() as folder:
        save_adapter(around.train(wrap(base), rows, epochs=epochs), Path(folder))
        tuned = load(base, Path(folder))
    says = partial(seq2seq.generate_texts, tokenizers.t5_tokenizer())
    return {
        role: {"ids": [row["id"] for row in rows], "outputs": says(model, rows)}
        for role, model in (("tuned", tuned), ("base", base))
    }


def lora_config(targets: Sequence[str], head: str | None = None) -> Any:
    """LoRA of rank 4, scaled by alpha / rank = 2."""
    return peft().LoraConfig(
        r=RANK,
        lora_alpha=ALPHA,
        lora_dropout=0.05,
        target_modules=list(targets),
        modules_to_save=None if head is None else [head],
    )


def wrap_base(targets: Sequence[str], head: str | None, base: torch.nn.Module) -> torch.nn.Module:
    """A copy of the base with a fresh adapter."""
    return with_fresh_adapter(copy.deepcopy(base), lora_config(targets, head))


def with_fresh_adapter(base: torch.nn.Module, config: Any) -> torch.nn.Module:
    """The base itself with a fresh adapter, drawn from a seed of its own."""
    wrapped: torch.nn.Module = models.seeded(lambda: peft().get_peft_model(base, config), 0)
    return wrapped


def save_adapter(model: Any, folder: Path) -> None:
    """Write the adapter alone."""
    model.save_pretrained(folder)


def load_adapter(base: torch.nn.Module, folder: Path, *, trainable: bool = False) -> torch.nn.Module:
    """A copy of the base with a saved adapter."""
    loaded: torch.nn.Module = peft().PeftModel.from_pretrained(copy.deepcopy(base), folder, is_trainable=trainable)
    return loaded


def merge_adapter(model: torch.nn.Module) -> torch.nn.Module:
    """A plain model with the adapter in its weights."""
    merged: torch.nn.Module = copy.deepcopy(model).merge_and_unload()  # type: ignore[operator]
    return merged


def load_each(base: torch.nn.Module, folders: Sequence[Path]) -> Iterator[torch.nn.Module]:
    """Saved adapters one after another, each on a base of its own."""
    for folder in folders:
        yield load_adapter(base, folder)


def with_adapters(pipeline: Pipeline, **changes: Callable[..., Any]) -> Pipeline:
    """A pipeline with other adapter parts."""
    return replace(pipeline, adapters=replace(pipeline.adapters, **changes))


SEQ2SEQ = replace(
    make_pipeline(seq2seq.PIPELINE, T5_TARGETS, name="lora"),
    comparison=ComparisonParts(
        arms=partial(make_arms, seq2seq.PIPELINE, partial(wrap_base, T5_TARGETS, None), load_adapter)
    ),
)
CAUSAL = make_pipeline(
    causal.make_pipeline(tokenizers.causal_tokenizer(), models.make_gpt2), GPT2_TARGETS, name="lora-causal"
)
CLASSIFIER = make_pipeline(classifier.PIPELINE, BERT_TARGETS, name="lora-classifier", head="classifier")
