"""The harness's own learning from preferences is held to its own checks, and bugs in it are seen."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch

from harness.checks.check import Status
from harness.checks.own import pipeline_of
from harness.checks.own_rlhf import OwnRlhf
from harness.checks.pipeline import Pipeline
from harness.checks.report import AuditReport
from harness.methods.rlhf import pairs, policy, reward_model, rloo
from tests.checks.planted import audit_with, checks_of, complaints, failures
from tests.methods.rlhf.models import load
from tests.small import small_experiment

CHECKS = checks_of("preferences", "policy", "rewards")
Plant = Callable[[pytest.MonkeyPatch], None]


def own() -> Pipeline:
    """What the method does on the embedded T5."""
    return pipeline_of(small_experiment(method="rlhf"))


def passed(report: AuditReport) -> int:
    return sum(result.status is Status.PASSED for result in report.results)


def test_own_method_passes() -> None:
    """All but the checks of value functions and reward models, which have no part here."""
    report = audit_with(own(), CHECKS)
    assert complaints(report) == []
    assert passed(report) == len(CHECKS) - 2


def test_own_reward_model_passes_and_a_wrong_place_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The score is that of the whole answer and of nothing else, also beside longer answers."""
    form, loaded, rows = load()
    pipeline = OwnRlhf(form=form, base=loaded, rows=rows).make_reward_pipeline()
    report = audit_with(pipeline, CHECKS)
    assert complaints(report) == []
    assert passed(report) == 1

    def forward(self: Any, prompts: Any, answers: Any) -> torch.Tensor:
        reading = policy.read_answers(self.body, prompts, answers)
        beside = reading.logits.log_softmax(-1).gather(-1, reading.tokens[..., None])
        return beside.sum((1, 2))

    monkeypatch.setattr(reward_model.RewardModel, "forward", forward)
    assert failures(audit_with(pipeline, CHECKS)) == {
        "a-reward-is-that-of-the-answer": ("reward-model-reads-wrong-token",)
    }


def reference_is_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "make_reference", lambda model: model.eval())


def shallow_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "make_reference", copy.copy)


def sampled_warm(monkeypatch: pytest.MonkeyPatch) -> None:
    generate = policy.generate_batch

    def cooler(model: Any, prompts: Any, config: Any) -> torch.Tensor:
        config.temperature = 0.4
        return generate(model, prompts, config)

    monkeypatch.setattr(policy, "generate_batch", cooler)


def reward_behind_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    def spread(scores: torch.Tensor, kl: torch.Tensor, mask: torch.Tensor, *, beta: float) -> torch.Tensor:
        rewards = -beta * kl * mask
        rewards[torch.arange(len(mask)), mask.sum(1).clamp(max=mask.shape[1] - 1)] += scores
        return rewards

    monkeypatch.setattr(rloo, "spread_rewards", spread)


def divergence_rewarded(monkeypatch: pytest.MonkeyPatch) -> None:
    spread = rloo.spread_rewards
    monkeypatch.setattr(rloo, "spread_rewards", lambda s, kl, mask, *, beta: spread(s, -kl, mask, beta=beta))


def mask_by_token(monkeypatch: pytest.MonkeyPatch) -> None:
    def mask(answers: Sequence[policy.Ids]) -> torch.Tensor:
        ids = torch.nn.utils.rnn.pad_sequence([torch.tensor(answer) for answer in answers], batch_first=True)
        return (ids > 1).long()

    monkeypatch.setattr(policy, "mask_answers", mask)


def answers_exchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    make = pairs.make_pairs

    def exchanged(rows: Any) -> list[pairs.Pair]:
        made = make(rows)
        turned = [
            pairs.Pair(row=type(p.row)(id=p.row.id, input=p.row.input, target=p.rejected), rejected=p.row.target)
            for p in made
        ]
        return [*made[:40], *turned[40:]]

    monkeypatch.setattr(pairs, "make_pairs", exchanged)


def dropout_in_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    read = policy.read_answers

    def noisy(model: Any, prompts: Any, answers: Any, **settings: Any) -> policy.Reading:
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.3
        return read(model.train(), prompts, answers, **settings)

    monkeypatch.setattr(policy, "read_answers", noisy)


def cut_by_the_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    encode = pairs.encode_pairs

    def cut(made: Any, form: Any, loaded: Any) -> list[pairs.EncodedPair]:
        whole = encode(made, form, loaded)
        return [
            pairs.EncodedPair(
                prompt=pair.prompt,
                chosen=pair.chosen[: len(pair.chosen) - max(0, len(pair.rejected) - 50)],
                rejected=pair.rejected,
            )
            for pair in whole
        ]

    monkeypatch.setattr(pairs, "encode_pairs", cut)


def group_across_prompts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rloo, "leave_one_out", lambda scores, group: scores - scores.mean())


BUGS: dict[str, tuple[Plant, str, tuple[str, ...]]] = {
    "reference-model-is-the-policy": (
        reference_is_the_policy, "the-reference-stays-while-the-policy-moves", ("reference-model-is-the-policy",)
    ),
    "shallow reference": (
        shallow_reference, "the-reference-stays-while-the-policy-moves", ("reference-model-is-the-policy",)
    ),
    "negative-kl-from-sampling-settings": (
        sampled_warm, "samples-come-from-the-policy", ("negative-kl-from-sampling-settings",)
    ),
    "reward-at-wrong-position": (
        reward_behind_the_end, "token-rewards-sum-to-the-score", ("reward-at-wrong-position",)
    ),
    "kl-sign-flipped": (divergence_rewarded, "token-rewards-sum-to-the-score", ("kl-sign-flipped",)),
    "mask-inferred-from-token-value": (
        mask_by_token, "the-mask-keeps-whole-responses", ("mask-inferred-from-token-value",)
    ),
    "chosen-rejected-swapped": (answers_exchanged, "chosen-answers-are-the-better-ones", ("chosen-rejected-swapped",)),
    "ppo-ratio-not-one-at-start": (dropout_in_the_loss, "the-first-ratio-is-one", ("ppo-ratio-not-one-at-start",)),
    "preference-response-truncated-unequally": (
        cut_by_the_longer, "a-long-answer-does-not-shorten-the-other", ("preference-response-truncated-unequally",)
    ),
    "advantages across prompts": (group_across_prompts, "group-advantages-compare-answers-to-one-prompt", ()),
}  # fmt: skip


@pytest.mark.parametrize("name", BUGS)
def test_a_bug_in_the_method_goes_red(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted into the method's own functions, a defect of the catalogue is seen and named."""
    plant, check, suspects = BUGS[name]
    plant(monkeypatch)
    found = failures(audit_with(own(), tuple(entry for entry in CHECKS if entry.name == check)))
    assert list(found) == [check]
    assert found[check][: len(suspects)] == suspects
