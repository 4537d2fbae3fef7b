"""A reward model: a language model whose likelihood of an answer is its score, learned from pairs.

Sources: Bradley and Terry 1952, "Rank Analysis of Incomplete Block Designs"; Rafailov et al. 2023, "Direct Preference
Optimization: Your Language Model is Secretly a Reward Model", section 5.1, on likelihoods as rewards.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import islice

import torch
from torch.nn.functional import logsigmoid
from transformers import PreTrainedModel

from harness.config import RlhfSettings
from harness.data.newsroom.draw import Draw
from harness.data.rows import Row
from harness.forms import Form
from harness.generation.batching import sorted_batches
from harness.methods.rlhf.pairs import EncodedPair, encode_answers
from harness.methods.rlhf.policy import Ids, read_answers
from harness.methods.rlhf.steps import Stepper, deal
from harness.models.loading import LoadedModel

BATCH = 32
"""Answers that are scored together."""
NATS = 5.0
"""So many nats more are one unit of the score, at which an answer wins with the odds of e to 1."""


class RewardModel(torch.nn.Module):
    """The score is the log-likelihood of the whole answer, in units of `NATS`.

    A linear head on the state at the last token is more usual. It has to learn from pairs alone how a wrong fact shows
    in that state, and from hundreds of pairs a small model does not: the likelihood knows most of it before.

    Args:
        body: the language model; it is copied.
    """

    def __init__(self, body: PreTrainedModel) -> None:
        super().__init__()
        self.body = copy.deepcopy(body).eval().requires_grad_(requires_grad=True)
        self.config = body.config

    def forward(self, prompts: Sequence[Ids], answers: Sequence[Ids]) -> torch.Tensor:
        """The scores of answers to prompts, as `read_answers` takes them: (answers,) float."""
        return read_answers(self.body, prompts, answers).logprobs.sum(1) / NATS


class LearnedReward:
    """A reward model as a reward of texts.

    Args:
        model: in eval mode.
        form: encodes the rows' prompts.
        loaded: has the tokenizer.
    """

    def __init__(self, model: RewardModel, form: Form, loaded: LoadedModel) -> None:
        self._model, self._form, self._loaded = model, form, loaded

    def __call__(self, outputs: Sequence[str], rows: Sequence[Row]) -> list[float]:
        """The score of each output."""
        prompts = [row.input_ids for row in self._form.encode(rows, self._loaded)]
        answers = encode_answers(outputs, self._form, self._loaded)
        scores = [0.0] * len(outputs)
        with torch.inference_mode():
            for places in sorted_batches([len(prompt) for prompt in prompts], BATCH):
                found = self._model([prompts[place] for place in places], [answers[place] for place in places])
                for place, score in zip(places, found.tolist(), strict=True):
                    scores[place] = score
        return scores


def learn_reward(
    body: PreTrainedModel, pairs: Sequence[EncodedPair], settings: RlhfSettings, *, seed: int
) -> RewardModel:
    """Teach a copy of a language model which answers are better.

    Args:
        body: what the reward model starts from; it is not changed.
        pairs: token ids.
        settings: the epochs, and of a step the pairs and the learning rate.
        seed: decides which pairs are dealt.
    """
    model = RewardModel(body)
    steps = settings.reward_epochs * -(-len(pairs) // settings.batch_size)
    stepper = Stepper(model, rate=settings.learning_rate, steps=steps)
    for step, places in enumerate(islice(deal(len(pairs), settings.batch_size, Draw("reward", seed)), steps)):
        stepper.step(bradley_terry_loss(score_pairs(model, [pairs[place] for place in places])), step)
    return model.eval().requires_grad_(requires_grad=False)


def bradley_terry_loss(scores: torch.Tensor) -> torch.Tensor:
    """Minus the log-probability that the chosen answers win, a mean over pairs: a scalar.

    Args:
        scores: (pairs, 2) float, of chosen and rejected answers.
    """
    return -logsigmoid(scores[:, 0] - scores[:, 1]).mean()


def measure_accuracy(model: RewardModel, pairs: Sequence[EncodedPair]) -> float:
    """The share of pairs whose chosen answer has the higher score, 0 to 1; a tie is no success."""
    wins = 0
    with torch.inference_mode():
        for start in range(0, len(pairs), BATCH // 2):
            scores = score_pairs(model, pairs[start : start + BATCH // 2])
            wins += int((scores[:, 0] > scores[:, 1]).sum())
    return wins / len(pairs)


def score_pairs(model: RewardModel, pairs: Sequence[EncodedPair]) -> torch.Tensor:
    """The scores of chosen and rejected answers: (pairs, 2) float."""
    answers = [answer for pair in pairs for answer in (pair.chosen, pair.rejected)]
    scores: torch.Tensor = model([pair.prompt for pair in pairs], answers)
    return scores.reshape(-1, 2)
