"""Policies whose every probability is known, and what their samples must look like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from harness.checks.oracle import SURE

CHOICES = 128
"""Tokens among which the known policy chooses; more than the 50 that ``generate`` keeps if not told otherwise."""
ENDS = 0.1
"""Share of the closing token in what the known policy says."""

Ids = list[int]


@dataclass(frozen=True, kw_only=True)
class Draw:
    """What was sampled, against what the distribution says.

    Args:
        tokens: how many were sampled, closing ones included.
        foreign: how many of them the policy would never say.
        surprise: the mean of minus their log-probabilities, in nats.
        entropy: what it should be, in nats.
        ends: how many of them close a response.
        expected_ends: how many should.
        z_surprise: how far the surprise is from the entropy, in standard errors.
        z_ends: the same for the ends.
    """

    tokens: int
    foreign: int
    surprise: float
    entropy: float
    ends: int
    expected_ends: float
    z_surprise: float
    z_ends: float


def weigh(responses: Sequence[Ids], logprobs: Mapping[int, float], stop: int) -> Draw:
    """Compare sampled responses with the distribution that each of their tokens should be drawn from.

    Sums of surprise less entropy are a martingale, so that it does not matter when a response ends.

    Args:
        responses: sampled token ids; a response shorter than the longest one was ended, its closing token given or not.
        logprobs: the log-probability of each token that can be drawn, in nats.
        stop: the closing token.
    """
    longest = max(map(len, responses))
    tokens = [token for response in responses for token in ended(response, stop, longest)]
    surprises = [-logprobs[token] for token in tokens if token in logprobs]
    entropy = -sum(math.exp(value) * value for value in logprobs.values())
    spread = sum(math.exp(value) * (value + entropy) ** 2 for value in logprobs.values()) ** 0.5
    mean, share = sum(surprises) / max(1, len(surprises)), math.exp(logprobs[stop])
    ends, expected = tokens.count(stop), len(tokens) * share
    return Draw(
        tokens=len(tokens),
        foreign=len(tokens) - len(surprises),
        surprise=mean,
        entropy=entropy,
        ends=ends,
        expected_ends=expected,
        z_surprise=(mean - entropy) / (spread / max(1, len(surprises)) ** 0.5),
        z_ends=(ends - expected) / max(1.0, expected * (1 - share)) ** 0.5,
    )


def known_policy(tokenizer: Any, stop: int, vocabulary: int) -> tuple[Ids, torch.Tensor]:
    """A distribution over a few ordinary tokens and the closing one: those tokens, and the logits of all."""
    special = set(tokenizer.all_special_ids)
    ordinary = [token for token in range(len(tokenizer)) if token not in special][: CHOICES - 1]
    weights = torch.tensor([1 / (place + 2) for place in range(len(ordinary))])
    logits = torch.full((vocabulary,), -SURE)
    logits[ordinary] = ((1 - ENDS) * weights / weights.sum()).log()
    logits[stop] = math.log(ENDS)
    return [*ordinary, stop], logits


def ended(response: Ids, stop: int, longest: int) -> Ids:
    """A response up to and with its closing token; put back where it was cut off."""
    if stop in response:
        return response[: response.index(stop) + 1]
    return response if len(response) == longest else [*response, stop]


def divergent_logprobs(generator: torch.Generator, *, rows: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of tokens that a policy sampled, its own and those of a reference: (rows, length) each."""
    own, other = (torch.randn(rows, length, 50, generator=generator).log_softmax(-1) for _ in range(2))
    tokens = torch.multinomial(own.reshape(-1, 50).exp(), 1, generator=generator).reshape(rows, length, 1)
    return own.gather(-1, tokens)[..., 0], other.gather(-1, tokens)[..., 0]
