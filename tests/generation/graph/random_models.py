"""Small random T5 and causal models, in which nothing is likely and so everything happens."""

from __future__ import annotations

import torch
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MT5Config,
    MT5ForConditionalGeneration,
    PreTrainedModel,
    T5Config,
    T5ForConditionalGeneration,
)

from harness.config import GenerationSettings
from harness.generation.engine import Resolved, resolve_settings
from harness.tasks.task import EncodedRow

T5_SHAPE = {
    "d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "decoder_start_token_id": 0,
}  # fmt: skip
LLAMA_SHAPE = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "initializer_range": 0.3,
}  # fmt: skip
GPT2_SHAPE = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64, "initializer_range": 0.3}
KINDS = {
    "llama": (LlamaConfig, LlamaForCausalLM, LLAMA_SHAPE),
    "gpt2": (GPT2Config, GPT2LMHeadModel, GPT2_SHAPE),
    "t5": (T5Config, T5ForConditionalGeneration, {**T5_SHAPE, "feed_forward_proj": "relu"}),
    "t5 gated, untied": (
        T5Config,
        T5ForConditionalGeneration,
        {**T5_SHAPE, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    ),
    "mt5": (MT5Config, MT5ForConditionalGeneration, T5_SHAPE),
}


def make_model(
    seed: int, *, vocabulary: int = 150, kind: str = "t5", sharpness: float = 2.0, empty_padding: bool = False
) -> PreTrainedModel:
    """A model of two layers in float64, where rounding decides nothing; the sharper, the more outputs end early.

    Many checkpoints have an embedding of padding that is all zeros.
    """
    config_class, model_class, more = KINDS[kind]
    state = torch.random.get_rng_state()
    torch.manual_seed(seed)
    config = config_class(
        vocab_size=vocabulary,
        pad_token_id=0,
        eos_token_id=1,
        **more,
    )
    model: PreTrainedModel = model_class(config).double().eval()
    torch.random.set_rng_state(state)
    for parameter in model.parameters():
        parameter.data *= sharpness
    if empty_padding:
        model.get_input_embeddings().weight.data[0] = 0
    return model


def make_sources(seed: int, rows: int, *, vocabulary: int = 150, longest: int = 12) -> list[EncodedRow]:
    """Rows of random tokens, each of another length."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (rows,), generator=generator).tolist()
    return [
        EncodedRow(
            id=str(number),
            input_ids=torch.randint(2, vocabulary, (length,), generator=generator).tolist(),
            features=(),
        )
        for number, length in enumerate(lengths)
    ]


def resolve(model: PreTrainedModel, **settings: object) -> Resolved:
    """The resolved settings; what `GenerationSettings` does not know, as forced tokens, is taken as it is."""
    known = {name: value for name, value in settings.items() if name in GenerationSettings.model_fields}
    rest = {name: value for name, value in settings.items() if name not in known}
    return resolve_settings(model, GenerationSettings(**known)) | rest  # type: ignore[arg-type,operator,return-value]
