"""The reference engine: ``generate`` of transformers, in batches of rows of like length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import GenerationConfig, PreTrainedModel

from harness.generation.batched import BatchedEngine, WriteBatch, pad_batch
from harness.generation.engine import Resolved


class TransformersEngine(BatchedEngine):
    """``generate`` of transformers, with the attention mask of each batch."""

    @contextmanager
    def open(self, model: PreTrainedModel, settings: Resolved, *, batch_size: int) -> Iterator[WriteBatch]:
        """Get ready; the model's own generation config is hidden meanwhile."""
        with only_these_settings(model, settings) as config:
            started = int(model.config.is_encoder_decoder)
            yield lambda sources: generate_batch(model, sources, config)[:, started:]


generate = TransformersEngine()
"""The reference engine."""


def generate_batch(model: PreTrainedModel, sources: Sequence[Sequence[int]], config: GenerationConfig) -> torch.Tensor:
    """Generate one batch.

    An encoder reads padding on the right. A causal model writes on where its prompt ends, so it gets its padding on
    the left, and its positions are counted from the first token that is none.

    Returns:
        (batch, output_len) int64, padded with pad: of an encoder-decoder with the decoder's start token first, of a
        causal model the new tokens alone.
    """
    causal = not model.config.is_encoder_decoder
    padded, mask = pad_batch(sources, config.pad_token_id, left=causal)
    output: torch.Tensor = model.generate(
        input_ids=padded.to(model.device),
        attention_mask=mask.to(model.device),
        generation_config=config,
    )
    return output[:, padded.shape[1] :] if causal else output


def to_generation_config(settings: Resolved) -> GenerationConfig:
    """The resolved settings as transformers takes them.

    A ``max_length`` of 20 happens to be the library's default, and transformers 4 takes it for none: it would write 20
    tokens behind the decoder's start token. Said as new tokens, every length means the same in all versions.
    """
    options: dict[str, Any] = {name: value for name, value in settings.items() if name != "engine"}
    if "max_length" in options:
        options["max_new_tokens"] = options.pop("max_length") - 1
    return GenerationConfig(**options)


@contextmanager
def only_these_settings(model: PreTrainedModel, settings: Resolved) -> Iterator[GenerationConfig]:
    """Hide the model's own generation config for the time of the block: ``generate`` would mix it in."""
    # A model of PEFT holds a config beside that of the model inside.
    models = [model, *([model.get_base_model()] if hasattr(model, "get_base_model") else [])]
    own = [each.generation_config for each in models]
    config = to_generation_config(settings)
    for each in models:
        each.generation_config = config
    try:
        yield config
    finally:
        for each, before in zip(models, own, strict=True):
            each.generation_config = before
