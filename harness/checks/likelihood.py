"""The log-likelihood of tokens, recomputed the plain way: one row, no padding, no cache."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import torch

CLOSE = 1e-3
"""How far a score may be from the recomputed one, relative to its size; float32 is good for 1e-5."""

Ids = Sequence[int]


def close(value: float, expected: float) -> bool:
    """Whether two scores are equal up to float32's rounding."""
    return abs(value - expected) <= CLOSE * max(1.0, abs(expected))


def token_logprobs(model: torch.nn.Module, prompt: Ids, tokens: Ids) -> list[float]:
    """The log-probability of each token behind a prompt, in nats, by one plain forward pass without padding."""
    config: Any = model.config
    read = torch.tensor([list(prompt)])
    with torch.inference_mode():
        if config.is_encoder_decoder:
            written = torch.tensor([[config.decoder_start_token_id, *tokens[:-1]]])
            logits = model(input_ids=read, attention_mask=torch.ones_like(read), decoder_input_ids=written).logits[0]
        else:
            logits = model(input_ids=torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1]
    chosen = logits.float().log_softmax(-1).gather(-1, torch.tensor(list(tokens))[:, None])[:, 0]
    return [float(value) for value in chosen]


def readings(model: torch.nn.Module, tokenizer: Any, context: str, continuation: str) -> list[list[float]]:
    """Token log-probabilities under every honest way to tokenize a context and what follows it."""
    plain = tokenizer(continuation, add_special_tokens=False)["input_ids"]
    found = []
    for special in (True, False):
        read = tokenizer(context, add_special_tokens=special)["input_ids"]
        joint = tokenizer(context + continuation, add_special_tokens=special)["input_ids"]
        said = {tuple(plain), tuple(joint[len(read) :]) or tuple(plain)}
        if tokenizer.eos_token_id is not None:
            said |= {(*tokens, tokenizer.eos_token_id) for tokens in set(said)}
        begin = [[]] if special or tokenizer.bos_token_id is None else [[], [tokenizer.bos_token_id]]
        found += [token_logprobs(model, [*start, *read], tokens) for start, tokens in product(begin, said)]
    return found
