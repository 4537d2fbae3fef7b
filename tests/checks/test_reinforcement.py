"""The checks of preferences, policy and rewards: on honest variants, TRL's among them, and on bugs of no catalogue."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.checks.check import Status
from harness.checks.pipeline import Pipeline
from harness.checks.preferences import overlap, runs_score, stretched
from harness.checks.sampling import divergent_logprobs, ended, known_policy, weigh
from harness.defects.reference import reinforcement, seq2seq
from harness.defects.reference.reinforcement import BETA, Ids, Pair
from harness.defects.rlhf import with_parts
from tests.checks.planted import audit_with, checks_of, complaints, failures

CHECKS = checks_of("preferences", "policy", "rewards")
CLEAN, REWARD = reinforcement.PIPELINE, reinforcement.REWARD_PIPELINE
TOKENIZER = CLEAN.tokenizer
Loss = Callable[..., torch.Tensor]


def named(pipeline: Pipeline) -> dict[str, tuple[str, ...]]:
    """The checks that fail and their suspects."""
    return failures(audit_with(pipeline, CHECKS))


# Honest variants


def mask_up_to_first_end(responses: Sequence[Ids]) -> torch.Tensor:
    """TRL's way: pad, then keep all up to and with the first EOS."""
    longest, stop = max(map(len, responses)), TOKENIZER.eos_token_id
    ids = torch.tensor([[*response, *[stop] * (longest - len(response))] for response in responses])
    is_end = ids == stop
    first = torch.where(is_end.any(1), is_end.int().argmax(1), longest)
    return (torch.arange(longest) <= first[:, None]).int()


def deviations(scores: torch.Tensor, group: int) -> torch.Tensor:
    """GRPO's way: less the group's mean, over its deviation."""
    grouped = scores.reshape(-1, group)
    return ((grouped - grouped.mean(1, keepdim=True)) / (grouped.std(1, keepdim=True) + 1e-4)).reshape(-1)


def squared_kl(
    logprobs: torch.Tensor, old: torch.Tensor, anchor: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """REINFORCE with the estimator k2 of the KL, a mean per row first."""
    each = 0.05 * (logprobs - anchor) ** 2 / 2 - logprobs * advantages
    return ((each * mask).sum(1) / mask.sum(1)).mean()


def loss_without_kl(
    logprobs: torch.Tensor, old: torch.Tensor, anchor: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """PPO whose KL stands in the rewards."""
    ratio = (logprobs - old).exp()
    gain = torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)
    return -(gain * mask).sum() / mask.sum()


def warm(scale: float) -> Pipeline:
    """Sampling at a temperature that the log-probabilities know of."""

    def sample(policy: Any, prompts: Sequence[Ids], seed: int) -> list[Ids]:
        return sample_with(policy, prompts, seed, temperature=scale, top_k=0)

    def logprobs(policy: Any, prompts: Sequence[Ids], responses: Sequence[Ids]) -> torch.Tensor:
        head = policy.get_output_embeddings()
        handle = head.register_forward_hook(lambda module, args, logits: logits / scale)
        try:
            return reinforcement.response_logprobs(TOKENIZER, policy, prompts, responses)
        finally:
            handle.remove()

    return with_parts(CLEAN, sample=sample, rollout_logprobs=logprobs, training_logprobs=logprobs)


def sample_with(policy: Any, prompts: Sequence[Ids], seed: int, **settings: Any) -> list[Ids]:
    """Responses of ``generate`` with some settings, their closing token cut off."""
    batch = reinforcement.pad_left(TOKENIZER, prompts)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        ids = policy.generate(
            **batch, do_sample=True, max_new_tokens=32, pad_token_id=TOKENIZER.pad_token_id, **settings
        )
    stop = TOKENIZER.eos_token_id
    return [
        [token for token in seq2seq.up_to_first(row, stop) if token != stop]
        for row in ids[:, batch["input_ids"].shape[1] :].tolist()
    ]


def scores_of_transformers(model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """The pooled logits of transformers' own head."""
    scores: torch.Tensor = model(input_ids=input_ids, attention_mask=attention_mask).logits[:, 0]
    return scores


def noisy() -> Pipeline:
    """Every fourth pair stands against a reward that was learned."""
    read: Any = CLEAN.reinforcement.preferences
    pairs = [{name: pair[name] for name in ("prompt", "chosen", "rejected")} for pair in read()]
    for pair in pairs[::4]:
        pair["chosen"], pair["rejected"] = pair["rejected"], pair["chosen"]
    return with_parts(CLEAN, preferences=lambda: pairs)


HONEST = {
    "a noisy reward": noisy,
    "mask up to the first end": lambda: with_parts(CLEAN, completion_mask=mask_up_to_first_end),
    "deviations": lambda: with_parts(CLEAN, group_advantages=deviations),
    "k2": lambda: with_parts(CLEAN, policy_loss=squared_kl),
    "KL in the rewards": lambda: with_parts(CLEAN, policy_loss=loss_without_kl),
    "temperature": lambda: warm(0.7),
    "closing token cut off": lambda: with_parts(
        CLEAN, sample=lambda policy, prompts, seed: sample_with(policy, prompts, seed, top_k=0)
    ),
    "transformers' reward head": lambda: with_parts(REWARD, reward_scores=scores_of_transformers),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_variants_pass(name: str) -> None:
    """Where there is a choice, each way to make it passes."""
    assert complaints(audit_with(HONEST[name](), CHECKS)) == []


def trl_trainer(policy: Any, reference: Any, pairs: Sequence[Pair], folder: Path) -> Any:
    """TRL's DPO trainer over pairs of texts."""
    trl = pytest.importorskip("trl")
    datasets = pytest.importorskip("datasets")
    rows = [{name: pair[name] for name in ("prompt", "chosen", "rejected")} for pair in pairs]
    settings = trl.DPOConfig(
        output_dir=str(folder), per_device_train_batch_size=len(pairs), report_to=[], use_cpu=True, bf16=False,
        gradient_checkpointing=False, max_length=256, disable_tqdm=True,
    )  # fmt: skip
    return trl.DPOTrainer(
        model=policy, ref_model=reference, args=settings, train_dataset=datasets.Dataset.from_list(rows),
        processing_class=TOKENIZER,
    )  # fmt: skip


def test_trl_passes_and_its_swapped_loss_does_not(tmp_path: Path) -> None:
    """The loss, the encoding and the log-probabilities of TRL pass; with exchanged columns its loss is named."""
    utils = pytest.importorskip("trl.trainer.utils")

    def loss(policy: Any, reference: Any, pairs: Sequence[Pair]) -> torch.Tensor:
        trainer = trl_trainer(policy, reference, pairs, tmp_path)
        found: torch.Tensor = trainer.compute_loss(policy, next(iter(trainer.get_train_dataloader())))
        return found

    def swapped(policy: Any, reference: Any, pairs: Sequence[Pair]) -> torch.Tensor:
        other = [{**pair, "chosen": pair["rejected"], "rejected": pair["chosen"]} for pair in pairs]
        return loss(policy, reference, other)

    def logprobs(policy: Any, prompts: Sequence[Ids], responses: Sequence[Ids]) -> torch.Tensor:
        rows = [torch.tensor([*prompt, *response]) for prompt, response in zip(prompts, responses, strict=True)]
        ids = utils.pad(rows, padding_value=TOKENIZER.pad_token_id)
        mask = utils.pad([torch.ones_like(row) for row in rows], padding_value=0)
        logits = policy(input_ids=ids, attention_mask=mask).logits[:, :-1]
        each = utils.selective_log_softmax(logits, ids[:, 1:])
        starts = [len(prompt) - 1 for prompt in prompts]
        return utils.pad(
            [row[start : start + len(response)] for row, start, response in zip(each, starts, responses, strict=True)],
            padding_value=0.0,
        )

    clean = with_parts(CLEAN, preference_loss=loss, training_logprobs=logprobs)
    assert complaints(audit_with(clean, CHECKS)) == []
    assert named(with_parts(CLEAN, preference_loss=swapped)) == {
        "the-preference-loss-prefers-the-chosen-answer": ("chosen-rejected-swapped",)
    }


# Bugs of no catalogue


def shallow_copy(policy: Any) -> Any:
    """Another object with the same weights inside."""
    return copy.copy(policy)


def frozen_kl(
    logprobs: torch.Tensor, old: torch.Tensor, anchor: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """The KL is logged and added, but computed without gradient."""
    back = (anchor - logprobs).detach()
    return ((BETA * (back.exp() - back - 1) - (logprobs - old).exp() * advantages) * mask).sum() / mask.sum()


def gain_minimised(
    logprobs: torch.Tensor, old: torch.Tensor, anchor: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """The gain is minimised in place of its negative."""
    return -loss_without_kl(logprobs, old, anchor, advantages, mask)


def mean_over_everything(
    logprobs: torch.Tensor, old: torch.Tensor, anchor: torch.Tensor, advantages: torch.Tensor, mask: torch.Tensor
) -> torch.Tensor:
    """The mask is left out of the loss."""
    return -((logprobs - old).exp() * advantages).mean()


def interleaved(scores: torch.Tensor, group: int) -> torch.Tensor:
    """Groups are taken to be columns."""
    grouped = scores.reshape(group, -1)
    return (grouped - grouped.mean(0, keepdim=True)).reshape(-1)


def left_padded_logprobs(policy: Any, prompts: Sequence[Ids], responses: Sequence[Ids]) -> torch.Tensor:
    """Padded on the left, without positions: a row's learned positions depend on the batch."""
    rows = [[*prompt, *response] for prompt, response in zip(prompts, responses, strict=True)]
    batch = reinforcement.pad_left(TOKENIZER, rows)
    logits = policy(**batch).logits[:, :-1].log_softmax(-1)
    each = logits.gather(-1, batch["input_ids"][:, 1:, None])[..., 0]
    answers = [row[len(row) - len(response) :] for row, response in zip(each, responses, strict=True)]
    return torch.nn.utils.rnn.pad_sequence(answers, batch_first=True)


def reward_on_each_token(scores: torch.Tensor, kl: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The whole score at each token: long responses earn more."""
    return (scores[:, None] - BETA * kl) * mask


def reference_reads_policy(policy: Any, reference: Any, pairs: Sequence[Pair]) -> torch.Tensor:
    """The margins of the reference are computed with the policy."""
    return reinforcement.preference_loss(TOKENIZER, policy, policy, pairs)


def stale_prompt() -> Pipeline:
    """The rejected answer stands behind the prompt of the pair before."""
    seen: list[Pair] = []

    def encode_pair(pair: Pair) -> dict[str, Ids]:
        before = seen[-1] if seen else pair
        seen.append(pair)
        own = reinforcement.encode_pair(TOKENIZER, pair)
        other = reinforcement.encode_pair(TOKENIZER, {**pair, "prompt": before["prompt"]})
        return {name: (other if "rejected" in name else own)[name] for name in own}

    return with_parts(CLEAN, encode_pair=encode_pair)


def better_by_reward_is_rejected() -> Pipeline:
    """Pairs without reference, sorted so that the answer of the lower reward comes first."""
    read: Any = CLEAN.reinforcement.preferences
    pairs = [{"prompt": p["prompt"], "chosen": p["rejected"], "rejected": p["chosen"]} for p in read()]
    return with_parts(CLEAN, preferences=lambda: pairs)


def one_source_without_reference() -> Pipeline:
    """A third of the pairs, in one piece, is swapped, and only a reward can tell."""
    read: Any = CLEAN.reinforcement.preferences
    pairs = [{name: pair[name] for name in ("prompt", "chosen", "rejected")} for pair in read()]
    for pair in pairs[:16]:
        pair["chosen"], pair["rejected"] = pair["rejected"], pair["chosen"]
    return with_parts(CLEAN, preferences=lambda: pairs)


BUGS = {
    "shallow copy": (
        lambda: with_parts(CLEAN, make_reference=shallow_copy),
        "the-reference-stays-while-the-policy-moves", "reference-model-is-the-policy",
    ),
    "reference reads policy": (
        lambda: with_parts(CLEAN, preference_loss=reference_reads_policy),
        "the-preference-loss-prefers-the-chosen-answer", "reference-model-is-the-policy",
    ),
    "no reference": (
        lambda: with_parts(CLEAN, make_reference=lambda policy: None, preference_loss=None),
        "the-reference-stays-while-the-policy-moves", "reference-model-is-the-policy",
    ),
    "KL without gradient": (
        lambda: with_parts(CLEAN, policy_loss=frozen_kl), "the-policy-loss-pulls-the-right-way", "kl-sign-flipped",
    ),
    "gain minimised": (
        lambda: with_parts(CLEAN, policy_loss=gain_minimised), "the-policy-loss-pulls-the-right-way", None,
    ),
    "loss over everything": (
        lambda: with_parts(CLEAN, policy_loss=mean_over_everything),
        "the-policy-loss-pulls-the-right-way", "advantage-over-masked-tokens",
    ),
    "top-k of the library": (
        lambda: with_parts(CLEAN, sample=sample_with),
        "samples-come-from-the-policy", "negative-kl-from-sampling-settings",
    ),
    "temperature alone": (
        lambda: with_parts(
            CLEAN,
            sample=lambda policy, prompts, seed: sample_with(policy, prompts, seed, top_k=0, temperature=0.8),
        ),
        "samples-come-from-the-policy", "negative-kl-from-sampling-settings",
    ),
    "least length": (
        lambda: with_parts(
            CLEAN,
            sample=lambda policy, prompts, seed: sample_with(policy, prompts, seed, top_k=0, min_new_tokens=8),
        ),
        "samples-come-from-the-policy", "negative-kl-from-sampling-settings",
    ),
    "interleaved groups": (
        lambda: with_parts(CLEAN, group_advantages=interleaved),
        "group-advantages-compare-answers-to-one-prompt", None,
    ),
    "left padding": (
        lambda: with_parts(CLEAN, training_logprobs=left_padded_logprobs),
        "the-first-ratio-is-one", "ppo-ratio-not-one-at-start",
    ),
    "score on each token": (
        lambda: with_parts(CLEAN, token_rewards=reward_on_each_token),
        "token-rewards-sum-to-the-score", "reward-at-wrong-position",
    ),
    "stale prompt": (stale_prompt, "both-answers-follow-the-same-prompt", "pair-uses-different-prompts"),
    "sorted by reward": (
        better_by_reward_is_rejected, "chosen-answers-are-the-better-ones", "chosen-rejected-swapped",
    ),
    "one source swapped": (
        one_source_without_reference, "chosen-answers-are-the-better-ones", "chosen-rejected-swapped",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BUGS)
def test_bugs_of_no_catalogue_are_caught_and_named(name: str) -> None:
    """Each kind of bug is seen in other clothes too, by the check that is meant for it."""
    plant, check, suspect = BUGS[name]
    found = named(plant())
    assert check in found
    assert found[check][:1] == (() if suspect is None else (suspect,))


def test_wrong_shapes_are_the_parts_error() -> None:
    """A part that returns something of the wrong shape is told what is expected, and is no failure."""
    bad = with_parts(
        CLEAN,
        training_logprobs=lambda policy, prompts, responses: torch.zeros(1),
        completion_mask=lambda responses: [1],
        token_rewards=lambda scores, kl, mask: scores,
        group_advantages=lambda scores, group: scores[:1],
        policy_loss=lambda *inputs: torch.zeros(2),
        preferences=lambda: [("a", "b")],
        make_reference=lambda policy: "reference",
    )
    report = audit_with(bad, CHECKS)
    errors = {result.check.name: result.seen for result in report.results if result.status is Status.ERROR}
    assert failures(report) == {}
    assert {
        "the-first-ratio-is-one", "the-mask-keeps-whole-responses", "token-rewards-sum-to-the-score",
        "group-advantages-compare-answers-to-one-prompt", "the-policy-loss-pulls-the-right-way",
        "chosen-answers-are-the-better-ones", "the-reference-stays-while-the-policy-moves",
    } <= errors.keys()  # fmt: skip
    assert all("should return" in seen or "expected" in seen for seen in errors.values())


# Helpers

TEXTS = st.text(min_size=1).filter(str.strip)


@given(text=TEXTS, other=TEXTS)
def test_overlap_is_a_similarity(text: str, other: str) -> None:
    """It lies in 0 to 1, is the same both ways, and is 1 for a text and itself, in any script."""
    assert overlap(text, text) == 1
    assert 0 <= overlap(text, other) <= 1
    assert overlap(text, other) == overlap(other, text)


@given(against=st.lists(st.booleans(), min_size=2, max_size=40))
def test_no_order_has_fewer_runs_than_the_sorted_one(against: list[bool]) -> None:
    """The score is least where all disagreement stands together, and does not depend on the direction."""
    assert runs_score(sorted(against)) <= runs_score(against) + 1e-9
    assert runs_score(against) == runs_score(against[::-1])


@given(times=st.integers(1, 5))
def test_stretching_repeats_the_named_texts_alone(times: int) -> None:
    """The named text stands there so often; the others, and chats, are as before."""
    pair = {"prompt": [{"role": "user", "content": "hi"}], "chosen": "one two", "rejected": "three"}
    longer = stretched(pair, chosen=times, prompt=times)
    assert longer == {**pair, "chosen": " ".join(["one two"] * times)}


@given(response=st.lists(st.integers(0, 9), max_size=8), longest=st.integers(8, 12))
def test_an_ended_response_closes_once(response: Ids, longest: int) -> None:
    """It has its closing token at its end and nowhere else, unless it was cut off at the longest length."""
    found = ended(response, 0, longest)
    assert found[: len(response)] == response[: len(found)]
    assert found.count(0) == (0 if len(response) == longest and 0 not in response else 1)
    assert 0 not in found[:-1]


@pytest.mark.parametrize("power", [1.0, 0.7])
def test_weighing_tells_honest_draws_from_sharpened_ones(power: float) -> None:
    """Draws from the distribution itself are within three standard errors, those at a lower temperature beyond ten."""
    stop = TOKENIZER.eos_token_id
    choices, logits = known_policy(TOKENIZER, stop, len(TOKENIZER))
    own = logits.log_softmax(-1)
    logprobs = {choice: float(own[choice]) for choice in choices}
    assert sum(map(math.exp, logprobs.values())) == pytest.approx(1)
    generator = torch.Generator().manual_seed(0)
    drawn = torch.multinomial((logits / power).softmax(-1), 64 * 32, replacement=True, generator=generator)
    draw = weigh([seq2seq.up_to_first(row, stop) for row in drawn.reshape(64, 32).tolist()], logprobs, stop)
    assert draw.foreign == 0
    if power == 1:
        assert abs(draw.z_surprise) < 3
        assert abs(draw.z_ends) < 3
    else:
        assert draw.z_surprise < -10


def test_divergent_log_probabilities_have_a_positive_kl() -> None:
    """The mean of own less reference log-probability, an unbiased estimate of the KL, is well above 0."""
    own, reference = divergent_logprobs(torch.Generator().manual_seed(0), rows=16, length=32)
    assert own.shape == reference.shape == (16, 32)
    assert float((own - reference).mean()) > 0.5
