"""A hand-written loop over a PEFT model, which it wraps itself: plain torch, loss from the logits, micro-batches."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from harness.checks.pipeline import Declared, Pipeline
from harness.defects.reference import causal, models, tokenizers
from harness.defects.reference.rows import read_splits

LEARNING_RATE = 2e-2


def add_adapter(model: Any) -> Any:
    from peft import LoraConfig, get_peft_model  # noqa: PLC0415

    return get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=["q_proj", "v_proj", "up_proj"]))


def sum_of_losses(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten(), reduction="sum")


def train(
    tokenizer: Any, prepare: Callable[[Any], Any], model: Any, rows: list[Any], *, seed: int = 0, epochs: int = 3,
    batch_size: int = 4, accumulation: int = 1,
) -> Any:  # fmt: skip
    torch.manual_seed(seed)
    model = prepare(add_adapter(model))
    features = causal.encode_rows(tokenizer, rows)
    optimizer = torch.optim.AdamW([entry for entry in model.parameters() if entry.requires_grad], lr=LEARNING_RATE)
    model.train()
    for _ in range(epochs):
        order = torch.randperm(len(features)).tolist()
        size = batch_size * accumulation
        for window in (order[start : start + size] for start in range(0, len(order), size)):
            tokens = 0
            for start in range(0, len(window), batch_size):
                batch = causal.collate_features(tokenizer, [features[i] for i in window[start : start + batch_size]])
                labels = batch.pop("labels")
                loss = sum_of_losses(model(**batch).logits, labels)
                tokens += int((labels[:, 1:] != -100).sum())
                loss.backward()
            for entry in model.parameters():
                if entry.grad is not None:
                    entry.grad /= tokens
            optimizer.step()
            optimizer.zero_grad()
    return model.eval()


def make_pipeline(prepare: Callable[[Any], Any] = lambda model: model) -> Pipeline:
    """The loop as a pipeline; ``prepare`` is given the model with its adapter."""
    tokenizer = tokenizers.causal_tokenizer()
    return Pipeline(
        name="peft loop",
        declared=Declared(learning_rate=LEARNING_RATE, schedule="constant"),
        tokenizer=tokenizer,
        splits=read_splits,
        encode=partial(causal.encode_rows, tokenizer),
        collate=partial(causal.collate_features, tokenizer),
        make_model=lambda seed=0: models.make_llama(tokenizer, seed),
        train=partial(train, tokenizer, prepare),
        generate=partial(causal.generate_texts, tokenizer),
    )
