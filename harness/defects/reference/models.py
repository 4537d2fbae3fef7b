"""Tiny models with random weights, one maker a shape."""

from __future__ import annotations

from typing import Any

import torch
import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerBase

WIDTH = 64
LAYERS = 2
HEADS = 4


def make_t5(tokenizer: PreTrainedTokenizerBase, seed: int, **changes: Any) -> PreTrainedModel:
    """An encoder-decoder with relative positions that starts its outputs with pad."""
    config = transformers.T5Config(
        vocab_size=len(tokenizer),
        d_model=WIDTH,
        d_kv=WIDTH // HEADS,
        d_ff=2 * WIDTH,
        num_layers=LAYERS,
        num_heads=HEADS,
        dropout_rate=0.1,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
        **changes,
    )
    return seeded(lambda: transformers.T5ForConditionalGeneration(config), seed)


def make_marian(tokenizer: PreTrainedTokenizerBase, seed: int, **changes: Any) -> PreTrainedModel:
    """An encoder-decoder with sinusoidal positions, as of BART's family."""
    config = transformers.MarianConfig(
        vocab_size=len(tokenizer),
        decoder_vocab_size=len(tokenizer),
        d_model=WIDTH,
        encoder_layers=LAYERS,
        decoder_layers=LAYERS,
        encoder_attention_heads=HEADS,
        decoder_attention_heads=HEADS,
        encoder_ffn_dim=2 * WIDTH,
        decoder_ffn_dim=2 * WIDTH,
        max_position_embeddings=256,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        forced_eos_token_id=None,
        decoder_start_token_id=tokenizer.pad_token_id,
        **changes,
    )
    return seeded(lambda: transformers.MarianMTModel(config), seed)


def make_llama(tokenizer: PreTrainedTokenizerBase, seed: int, **changes: Any) -> PreTrainedModel:
    """A decoder with rotary positions."""
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        intermediate_size=2 * WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
        max_position_embeddings=512,
        attention_dropout=0.1,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **changes,
    )
    return seeded(lambda: transformers.LlamaForCausalLM(config), seed)


def make_gpt2(tokenizer: PreTrainedTokenizerBase, seed: int, **changes: Any) -> PreTrainedModel:
    """A decoder with learned positions and Conv1D layers."""
    config = transformers.GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=WIDTH,
        n_layer=LAYERS,
        n_head=HEADS,
        n_positions=512,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        **changes,
    )
    return seeded(lambda: transformers.GPT2LMHeadModel(config), seed)


def make_bert(head: str, tokenizer: PreTrainedTokenizerBase, seed: int, **changes: Any) -> PreTrainedModel:
    """An encoder; ``head`` is a class of transformers such as ``BertForSequenceClassification``."""
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=WIDTH,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=2 * WIDTH,
        max_position_embeddings=256,
        pad_token_id=tokenizer.pad_token_id,
        **changes,
    )
    return seeded(lambda: getattr(transformers, head)(config), seed)


def seeded(make: Any, seed: int) -> Any:
    """What ``make`` gives when the random numbers start at ``seed``; the global state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make().eval()
