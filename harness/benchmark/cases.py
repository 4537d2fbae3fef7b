"""What is measured: engines over batch size, beams, precision and source length."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.config import GenerationSettings, ModelSettings
from harness.models.loading import load_model

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SMALL = "t5-small"
"""The shape of t5-small with random weights: how fast a model is does not depend on what it says."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One combination; the engines are compared within it.

    Args:
        batch: rows in a batch.
        beams: sequences a row.
        dtype: "float32" or "bfloat16".
        source_length: tokens of each source.
        new_tokens: tokens that every row writes.
    """

    batch: int
    beams: int
    dtype: str
    source_length: int
    new_tokens: int

    @property
    def settings(self) -> GenerationSettings:
        """Every row writes as many tokens: the decoder's start token counts, too."""
        length = self.new_tokens + 1
        return GenerationSettings(num_beams=self.beams, min_length=length, max_length=length)


def list_cases(
    batches: Sequence[int], beams: Sequence[int], dtypes: Sequence[str], lengths: Sequence[int], new_tokens: int
) -> Iterator[Case]:
    """Every combination."""
    for batch, beam, dtype, length in itertools.product(batches, beams, dtypes, lengths):
        yield Case(batch=batch, beams=beam, dtype=dtype, source_length=length, new_tokens=new_tokens)


def make_model(name: str) -> PreTrainedModel:
    """The model by name: ``t5-small`` for its shape, else what `load_model` finds."""
    if name != SMALL:
        model: PreTrainedModel = load_model(ModelSettings(name=name), auto_class="AutoModelForSeq2SeqLM").model
        return model
    import torch  # noqa: PLC0415 - so that the names above need no torch
    from transformers import T5Config, T5ForConditionalGeneration  # noqa: PLC0415

    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = T5Config(vocab_size=32128, d_model=512, d_kv=64, d_ff=2048, num_layers=6, num_heads=8)
        config.decoder_start_token_id = config.pad_token_id
        small: PreTrainedModel = T5ForConditionalGeneration(config).eval()
    with torch.no_grad():
        # Random weights say again what they have read, and that is padding first: no engine would have written a token.
        small.get_input_embeddings().weight[config.pad_token_id] = 0
    return small


def make_sources(model: PreTrainedModel, case: Case) -> list[list[int]]:
    """Random tokens that are no special ones, the same each time."""
    import torch  # noqa: PLC0415

    generator = torch.Generator().manual_seed(0)
    shape = (case.batch, case.source_length)
    sources: list[list[int]] = torch.randint(10, model.config.vocab_size - 200, shape, generator=generator).tolist()
    return sources
