"""Whether a tokenizer is the one that a pretrained model was trained with.

A model that knows its language is about as surprised as it expects to be: the mean negative log-likelihood of a text is
near the entropy of the predictions. With another tokenizer's ids the same model is as confident and always wrong: its
surprise passes that of a guess among all tokens, ln V, and comes to that of ids drawn at random.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

Pair = tuple[list[int], list[int]]

TRAINED = 0.75
"""A model whose entropy is above this share of ln V has learned too little to tell."""
RANDOM = 0.8
"""From this share of the surprise at random ids on, a text means as little to the model as they do."""


@dataclass(frozen=True, kw_only=True)
class Fit:
    """How well a model predicts some ids, in nats per token.

    Args:
        entropy: mean entropy of its predictions: the surprise that it expects.
        surprise: mean negative log-likelihood of the ids.
        at_random: the same of ids whose numbers were shuffled.
        uniform: ln V, the surprise of a guess.
    """

    entropy: float
    surprise: float
    at_random: float
    uniform: float

    @property
    def fits(self) -> bool:
        """Whether the ids mean more to the model than random ones."""
        return self.surprise < self.uniform or self.surprise < RANDOM * self.at_random


def expected_surprise(model: Any, pairs: Sequence[Pair]) -> tuple[float, float]:
    """Mean entropy of a model's predictions of one pair, and that of a guess, in nats."""
    return float(_predict(model, *pairs[0])[:, 0].mean()), math.log(_vocabulary(model))


def measure_fit(model: Any, pairs: Sequence[Pair], *, keep: set[int], seed: int) -> Fit:
    """Let a model predict ids, and the same ids under a random renumbering of the vocabulary.

    Args:
        model: of transformers, with a language-modelling head.
        pairs: what an encoder reads and a decoder writes; the second is empty for a decoder-only model.
        keep: ids of special tokens, which are not renumbered.
        seed: of the renumbering.
    """
    size = _vocabulary(model)
    order = torch.randperm(size, generator=torch.Generator().manual_seed(seed)).tolist()
    shuffled = [tuple([i if i in keep else order[i] for i in ids] for ids in pair) for pair in pairs]
    own = torch.cat([_predict(model, *pair) for pair in pairs])
    other = torch.cat([_predict(model, *pair) for pair in shuffled])
    return Fit(
        entropy=float(own[:, 0].mean()),
        surprise=float(own[:, 1].mean()),
        at_random=float(other[:, 1].mean()),
        uniform=math.log(size),
    )


def hide_spans(ids: Sequence[int], sentinels: Sequence[int], end: int, *, size: int = 3) -> Pair:
    """A text with holes for an encoder, and what was in them for a decoder, as T5 was pretrained (Raffel et al., 2020).

    Args:
        ids: of a text, without special tokens.
        sentinels: ids that stand for the holes, in their order.
        end: id that closes both.
        size: tokens in a hole.
    """
    source: list[int] = []
    target: list[int] = []
    step = 5 * size
    for sentinel, start in zip(sentinels, range(step, len(ids) - size, step), strict=False):
        source += [*ids[start - step + (size if source else 0) : start], sentinel]
        target += [sentinel, *ids[start : start + size]]
    done = step * (len(target) // (size + 1)) + size
    return [*source, *ids[done:], end], [*target, end]


def _vocabulary(model: Any) -> int:
    return int(model.get_input_embeddings().num_embeddings)


def _predict(model: Any, read: list[int], written: list[int]) -> torch.Tensor:
    """Entropy of each prediction and surprise at what came: (length, 2) float."""
    ids = torch.tensor([read])
    with torch.inference_mode():
        if written:
            logits, truth = model(input_ids=ids, labels=torch.tensor([written])).logits[0], torch.tensor(written)
        else:
            logits, truth = model(input_ids=ids).logits[0, :-1], ids[0, 1:]
    logprobs = logits.float().log_softmax(-1)
    entropy = -(logprobs.exp() * logprobs).sum(-1)
    return torch.stack([entropy, -logprobs.gather(-1, truth[:, None])[:, 0]], dim=-1)
