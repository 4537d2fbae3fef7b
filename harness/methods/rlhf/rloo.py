"""REINFORCE with a leave-one-out baseline: several answers to a prompt, each compared with the others.

Source: Ahmadian et al. 2024, "Back to Basics: Revisiting REINFORCE Style Optimization for Learning from Human Feedback
in LLMs", section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice

import torch
from transformers import PreTrainedModel

from harness.config import RlhfSettings
from harness.data.newsroom.draw import Draw
from harness.methods.rlhf.policy import Ids, make_reference, read_answers, sample_answers
from harness.methods.rlhf.steps import Stepper, deal

CLIP = 0.2
"""How far the ratio of new to old probability may leave 1 before it gains nothing more (Schulman et al. 2017)."""

ScoreAnswers = Callable[[Sequence[int], Sequence[Ids]], torch.Tensor]
"""From the places of the prompts and the answers to them, (batch,) rewards."""


def optimise(
    policy: PreTrainedModel, prompts: Sequence[Ids], score: ScoreAnswers, settings: RlhfSettings, *, seed: int
) -> tuple[float, ...]:
    """Train a policy in place towards a reward, less beta times its KL from what it was.

    Args:
        policy: in eval mode, so that no dropout sets old and new probabilities apart.
        prompts: token ids, cut as they are for the model's outputs.
        score: gives the rewards.
        settings: beta, samples, steps and so on.
        seed: decides which prompts are dealt and what is drawn.

    Returns:
        The loss of each step.
    """
    reference = make_reference(policy)
    stepper = Stepper(policy, rate=settings.learning_rate, steps=settings.steps)
    draw = Draw("rloo", seed)
    read = partial(read_answers, temperature=settings.temperature)
    losses = []
    for step, places in enumerate(islice(deal(len(prompts), settings.batch_size, draw), settings.steps)):
        asked = [prompts[place] for place in places]
        answers = sample_answers(
            policy,
            asked,
            samples=settings.samples,
            max_new_tokens=settings.max_new_tokens,
            seed=draw.below(2**31),
            temperature=settings.temperature,
        )
        scores = score([place for place in places for _ in range(settings.samples)], answers).to(policy.device)
        now = read(policy, asked, answers)
        drawn = now.logprobs.detach()
        with torch.no_grad():
            kl = drawn - read(reference, asked, answers).logprobs
        rewards = spread_rewards(scores, kl, now.mask, beta=settings.beta)
        advantages = leave_one_out(rewards.sum(1), settings.samples)[:, None].expand_as(rewards)
        for update in range(settings.updates):
            if update > 0:
                now = read(policy, asked, answers)
            losses.append(stepper.step(policy_loss(now.logprobs, drawn, advantages, now.mask), step))
    return tuple(losses)


def spread_rewards(scores: torch.Tensor, kl: torch.Tensor, mask: torch.Tensor, *, beta: float) -> torch.Tensor:
    """Minus beta times the KL at each token, and the score at the last one: (batch, length) float.

    Args:
        scores: (batch,) float.
        kl: (batch, length) float, in nats.
        mask: (batch, length) int64, 1 for each token of an answer; an answer without tokens gets nothing.
        beta: what a nat costs.
    """
    rewards = torch.where(mask.bool(), -beta * kl, torch.zeros_like(kl))
    lengths = mask.sum(1)
    rows = torch.arange(len(mask), device=mask.device)[lengths > 0]
    rewards[rows, lengths[rows] - 1] += scores[rows].to(rewards)
    return rewards


def leave_one_out(scores: torch.Tensor, group: int) -> torch.Tensor:
    """Each score less the mean of the others of its prompt: (batch,) float.

    Args:
        scores: (batch,) float, ``group`` to each prompt, which stand together.
        group: at least 2.
    """
    grouped = scores.reshape(-1, group)
    others = (grouped.sum(1, keepdim=True) - grouped) / (group - 1)
    return (grouped - others).reshape(-1)


def policy_loss(
    logprobs: torch.Tensor, old_logprobs: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """Minus the clipped gain, summed over the tokens of an answer, a mean over answers: a scalar.

    At the first update the ratio is 1, and the gradient that of REINFORCE.

    Args:
        logprobs: (batch, length) float, those of the policy now.
        old_logprobs: the same when the answers were drawn.
        advantages: (batch, length) float.
        mask: (batch, length) int64, 1 for each token of an answer.
    """
    ratio = (logprobs - old_logprobs).exp()
    gain = torch.minimum(ratio * advantages, ratio.clamp(1 - CLIP, 1 + CLIP) * advantages)
    return -torch.where(mask.bool(), gain, torch.zeros_like(gain)).sum(1).mean()
