"""RLOO: advantages, rewards and gradients as computed by hand, and the first step of training."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.config import RlhfSettings
from harness.errors import NonFiniteLossError
from harness.methods.rlhf import rloo
from harness.methods.rlhf.policy import make_reference, read_answers, sample_answers
from tests.methods.rlhf.models import load

QUICK = RlhfSettings(steps=2, updates=2, samples=3, batch_size=2, max_new_tokens=6, learning_rate=1e-3)


def test_each_score_is_compared_with_the_others_of_its_prompt() -> None:
    """(1, 2, 6) less the means of the other two, group by group."""
    found = rloo.leave_one_out(torch.tensor([1.0, 2.0, 6.0, 5.0, 5.0, 5.0]), 3)
    assert found.tolist() == [-3.0, -1.5, 4.5, 0.0, 0.0, 0.0]


@given(st.lists(st.floats(-10, 10), min_size=8, max_size=8), st.floats(-5, 5))
def test_a_constant_changes_no_advantage(scores: list[float], constant: float) -> None:
    """Advantages of a group sum to 0, and a reward that all answers get is none."""
    given_scores = torch.tensor(scores, dtype=torch.float64)
    found = rloo.leave_one_out(given_scores, 4)
    torch.testing.assert_close(rloo.leave_one_out(given_scores + constant, 4), found, atol=1e-9, rtol=0)
    assert float(found.reshape(2, 4).sum(1).abs().max()) < 1e-9


def test_rewards_are_the_score_at_the_end_less_beta_times_the_kl() -> None:
    """The KL counts at real tokens alone, and an answer without tokens gets nothing."""
    kl, mask = (
        torch.tensor([[1.0, 2.0, 9.0], [4.0, 9.0, 9.0], [9.0, 9.0, 9.0]]),
        torch.tensor([[1, 1, 0], [1, 0, 0], [0, 0, 0]]),
    )
    found = rloo.spread_rewards(torch.tensor([10.0, 20.0, 30.0]), kl, mask, beta=0.5)
    assert found.tolist() == [[-0.5, 9.0, 0.0], [18.0, 0.0, 0.0], [0.0, 0.0, 0.0]]


def test_gradient_is_that_of_reinforce_by_hand() -> None:
    """At ratio 1 the gradient of the logits is minus the advantage times (one-hot less probabilities) / 2."""
    logits = torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.0, 0.5]], dtype=torch.float64, requires_grad=True)
    tokens, advantages = torch.tensor([1, 2]), torch.tensor([2.0, -3.0], dtype=torch.float64)
    logprobs = logits.log_softmax(-1).gather(-1, tokens[:, None])
    padded = torch.cat([logprobs, logprobs], 1)
    mask = torch.tensor([[1, 0], [1, 0]])
    rloo.policy_loss(padded, padded.detach(), advantages[:, None].expand(2, 2), mask).backward()
    one_hot = torch.nn.functional.one_hot(tokens, 3).double()
    by_hand = -advantages[:, None] * (one_hot - logits.detach().softmax(-1)) / 2
    torch.testing.assert_close(logits.grad, by_hand)


def test_a_ratio_that_left_its_bounds_gains_nothing_more() -> None:
    """Behind 1 + clip a good token has no gradient, and behind 1 - clip a bad one has none."""
    for shift, advantage in ((0.5, 1.0), (-0.5, -1.0)):
        logprobs = torch.tensor([[shift]], requires_grad=True)
        rloo.policy_loss(logprobs, torch.zeros(1, 1), torch.full((1, 1), advantage), torch.ones(1, 1)).backward()
        assert logprobs.grad is not None
        assert float(logprobs.grad) == 0.0


def test_what_is_rewarded_becomes_likelier() -> None:
    """The answers begin with the rewarded token more often than before, and no more where beta forbids all change."""
    form, loaded, rows = load()
    prompts = [row.input_ids for row in form.encode(rows[:2], loaded)]
    rewarded = sample_answers(loaded.model, prompts, max_new_tokens=1, seed=3)[0][0]

    def weigh(beta: float) -> float:
        settings = QUICK.model_copy(update={"steps": 4, "samples": 16, "max_new_tokens": 1, "beta": beta})
        policy = make_reference(loaded.model).requires_grad_(requires_grad=True)
        rloo.optimise(
            policy,
            prompts,
            lambda _, answers: torch.tensor([float(a[0] == rewarded) for a in answers]),
            settings,
            seed=0,
        )
        with torch.no_grad():
            return float(read_answers(policy, prompts, [[rewarded]] * 2).logprobs.exp().mean())

    with torch.no_grad():
        before = float(read_answers(loaded.model, prompts, [[rewarded]] * 2).logprobs.exp().mean())
    free, bound = weigh(0.0), weigh(100.0)
    assert free > 1.2 * before
    assert abs(bound - before) < 0.5 * abs(free - before)


def test_training_starts_at_ratio_one_and_kl_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the first update old, new and reference probabilities agree; behind it they do not; the start stays."""
    form, loaded, rows = load()
    ratios, kls = [], []
    loss_of, spread = rloo.policy_loss, rloo.spread_rewards

    def policy_loss(logprobs: torch.Tensor, old: torch.Tensor, *rest: Any) -> torch.Tensor:
        ratios.append(float((logprobs - old).detach().abs().max()))
        return loss_of(logprobs, old, *rest)

    def spread_rewards(scores: torch.Tensor, kl: torch.Tensor, mask: torch.Tensor, *, beta: float) -> torch.Tensor:
        kls.append(float(kl.abs().max()))
        return spread(scores, kl, mask, beta=beta)

    monkeypatch.setattr(rloo, "policy_loss", policy_loss)
    monkeypatch.setattr(rloo, "spread_rewards", spread_rewards)
    policy = make_reference(loaded.model).requires_grad_(requires_grad=True)
    prompts = [row.input_ids for row in form.encode(rows[:4], loaded)]
    losses = rloo.optimise(
        policy, prompts, lambda places, answers: torch.tensor([float(sum(a) % 7) for a in answers]), QUICK, seed=0
    )
    assert len(losses) == 4
    # A batch rounds otherwise than another.
    assert max(ratios[0], ratios[2]) < 1e-5
    assert kls[0] < 1e-5
    assert ratios[1] > 1e-4
    assert kls[1] > 1e-4
    assert loaded.identify().weights != loaded.with_weights_of(policy).identify().weights


def test_a_reward_that_is_not_finite_stops_the_training() -> None:
    """The step and what to do are named, before the weights are spoilt."""
    form, loaded, rows = load()
    policy = make_reference(loaded.model).requires_grad_(requires_grad=True)
    prompts = [row.input_ids for row in form.encode(rows[:2], loaded)]
    with pytest.raises(NonFiniteLossError, match="step 1 of 2"):
        rloo.optimise(policy, prompts, lambda _, answers: torch.full((len(answers),), torch.nan), QUICK, seed=0)
