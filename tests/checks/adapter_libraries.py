"""Pipelines with adapters in other styles: a library of ten lines, and PEFT with the Trainer of transformers."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from transformers import Seq2SeqTrainer, Seq2SeqTrainingArguments

from harness.checks.parts import AdapterParts
from harness.checks.pipeline import Pipeline
from harness.defects.reference import causal, lora, models, seq2seq


class LowRank(torch.nn.Module):
    """A linear layer with a low-rank change."""

    def __init__(self, layer: torch.nn.Linear, *, scale: float = 0.5) -> None:
        super().__init__()
        self.layer = layer
        self.down = torch.nn.Parameter(torch.randn(3, layer.in_features) / 8)
        self.up = torch.nn.Parameter(torch.zeros(layer.out_features, 3))
        self.scale = scale

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """The layer's answer and the change: (..., outputs)."""
        return self.layer(values) + self.scale * (values @ self.down.T) @ self.up.T


def low_rank_layers(model: torch.nn.Module) -> dict[str, LowRank]:
    return {name: module for name, module in model.named_modules() if isinstance(module, LowRank)}


def put_adapters(base: torch.nn.Module, **options: Any) -> torch.nn.Module:
    """A frozen copy of a Llama with a low-rank change on its queries and values."""
    model = copy.deepcopy(base).requires_grad_(requires_grad=False)
    for name, module in list(model.named_modules()):
        if name.endswith(("q_proj", "v_proj")):
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent), child, models.seeded(lambda m=module: LowRank(m, **options), 0))
    return model


def save_adapters(model: torch.nn.Module, folder: Path) -> None:
    torch.save({n: p for n, p in model.state_dict().items() if n.endswith((".down", ".up"))}, Path(folder) / "a.pt")


def load_adapters(base: torch.nn.Module, folder: Path, **options: Any) -> torch.nn.Module:
    model = put_adapters(base, **options)
    loaded = model.load_state_dict(torch.load(Path(folder) / "a.pt"), strict=False)
    assert not loaded.unexpected_keys
    return model


def load_to_train(base: torch.nn.Module, folder: Path, *, trainable: bool = False) -> torch.nn.Module:
    model = load_adapters(base, folder)
    return model if trainable else model.requires_grad_(requires_grad=False)


def merge_adapters(model: torch.nn.Module, *, times: int = 1) -> torch.nn.Module:
    merged = copy.deepcopy(model)
    for name, module in low_rank_layers(merged).items():
        parent, _, child = name.rpartition(".")
        module.layer.weight.data += times * module.scale * module.up @ module.down
        setattr(merged.get_submodule(parent), child, module.layer)
    return merged


@contextmanager
def adapters_off(model: torch.nn.Module) -> Iterator[None]:
    scales = {layer: layer.scale for layer in low_rank_layers(model).values()}
    for layer in scales:
        layer.scale = 0.0
    yield
    for layer, scale in scales.items():
        layer.scale = scale


OWN_LIBRARY = Pipeline(
    name="own adapter library",
    **{part: getattr(causal.PIPELINE, part) for part in lora.KEPT},
    adapters=AdapterParts(
        wrap=put_adapters,
        save=save_adapters,
        load=load_to_train,
        merge=merge_adapters,
        baseline=adapters_off,
        load_each=lambda base, folders: (load_adapters(base, folder) for folder in folders),
    ),
)


def train_with_trainer(model: torch.nn.Module, rows: list[dict[str, str]]) -> Any:
    """The model itself, trained by transformers as in its examples, with a warm-up and a small learning rate."""
    # The trainer makes its folder, though nothing is saved.
    with TemporaryDirectory() as folder:
        arguments = Seq2SeqTrainingArguments(
            output_dir=folder, per_device_train_batch_size=4, num_train_epochs=2, learning_rate=1e-4,
            warmup_steps=2, save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True,
        )  # fmt: skip
        trainer = Seq2SeqTrainer(
            model, arguments, train_dataset=seq2seq.PIPELINE.encode(rows), data_collator=seq2seq.PIPELINE.collate
        )
        trainer.train()
    return trainer


WITH_TRAINER = replace(
    lora.with_adapters(
        lora.SEQ2SEQ, wrap=lambda base: lora.peft().get_peft_model(base, lora.lora_config(lora.T5_TARGETS))
    ),
    name="peft with Seq2SeqTrainer, in place",
    train=train_with_trainer,
)
