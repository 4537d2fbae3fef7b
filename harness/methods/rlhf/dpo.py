"""Direct preference optimisation: the policy learns from pairs, without a reward model and without sampling.

Source: Rafailov et al. 2023, "Direct Preference Optimization: Your Language Model is Secretly a Reward Model", eq. 7.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import torch
from torch.nn.functional import logsigmoid
from transformers import PreTrainedModel

from harness.config import RlhfSettings
from harness.data.newsroom.draw import Draw
from harness.methods.rlhf.pairs import EncodedPair
from harness.methods.rlhf.policy import make_reference, read_answers
from harness.methods.rlhf.steps import Stepper, deal


def optimise(
    policy: PreTrainedModel, pairs: Sequence[EncodedPair], settings: RlhfSettings, *, seed: int
) -> tuple[float, ...]:
    """Train a policy in place to tell chosen from rejected answers better than what it was.

    Args:
        policy: in eval mode.
        pairs: token ids.
        settings: beta, steps and so on.
        seed: decides which pairs are dealt.

    Returns:
        The loss of each step; ln 2 at the first.
    """
    reference = make_reference(policy)
    stepper = Stepper(policy, rate=settings.dpo_learning_rate, steps=settings.steps)
    dealt = islice(deal(len(pairs), settings.batch_size, Draw("dpo", seed)), settings.steps)
    return tuple(
        stepper.step(
            preference_loss(policy, reference, [pairs[place] for place in places], beta=settings.dpo_beta), step
        )
        for step, places in enumerate(dealt)
    )


def preference_loss(
    policy: PreTrainedModel, reference: PreTrainedModel, pairs: Sequence[EncodedPair], *, beta: float
) -> torch.Tensor:
    """Minus the log-probability that the implicit reward gives to "chosen is better", a mean over pairs: a scalar."""
    with torch.no_grad():
        before = weigh_answers(reference, pairs)
    gained = weigh_answers(policy, pairs) - before
    return -logsigmoid(beta * (gained[:, 0] - gained[:, 1])).mean()


def weigh_answers(model: PreTrainedModel, pairs: Sequence[EncodedPair]) -> torch.Tensor:
    """The log-probability of whole answers in nats, chosen and rejected: (pairs, 2) float."""
    answers = [answer for pair in pairs for answer in (pair.chosen, pair.rejected)]
    return read_answers(model, [pair.prompt for pair in pairs], answers).logprobs.sum(1).reshape(-1, 2)
