"""Defects of preference and reinforcement learning."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from harness.checks.pipeline import Pipeline
from harness.defects.defect import defect
from harness.defects.reference import causal, reinforcement, seq2seq
from harness.defects.reference.loop import IGNORE_INDEX
from harness.defects.reference.reinforcement import BETA, Ids, Pair


def with_parts(clean: Pipeline, **parts: Callable[..., Any]) -> Pipeline:
    """The pipeline with other parts of reinforcement learning."""
    return replace(clean, reinforcement=replace(clean.reinforcement, **parts))


@defect(
    "reference-model-is-the-policy",
    "rlhf",
    reference="reinforcement",
    symptom="The preference loss stays at 0.693, or nothing restrains the policy.",
    source="https://github.com/YiyangZhou/POVID/issues/11",
)
def reference_is_policy(clean: Pipeline) -> Pipeline:
    """The frozen reference is the very object that is being trained."""

    def make_reference(policy: Any) -> Any:
        return policy.eval()

    return with_parts(clean, make_reference=make_reference)


@defect(
    "kl-sign-flipped",
    "rlhf",
    reference="reinforcement",
    symptom="Training is unstable and collapses.",
    source="https://github.com/Unakar/Logic-RL/issues/58",
)
def divergence_rewarded(clean: Pipeline) -> Pipeline:
    """The KL term is subtracted from the loss, so the policy is driven away from its reference."""

    def policy_loss(
        logprobs: torch.Tensor, old_logprobs: torch.Tensor, reference_logprobs: torch.Tensor, advantages: torch.Tensor,
        mask: torch.Tensor, *, beta: float = BETA,
    ) -> torch.Tensor:  # fmt: skip
        ratio = (logprobs - old_logprobs).exp()
        gain = torch.minimum(ratio * advantages, ratio.clamp(0.8, 1.2) * advantages)
        back = reference_logprobs - logprobs
        kl = back.exp() - back - 1
        return -(gain + beta * kl)[mask.bool()].mean()

    return with_parts(clean, policy_loss=policy_loss)


@defect(
    "negative-kl-from-sampling-settings",
    "rlhf",
    reference="reinforcement",
    symptom="The estimated KL is negative, and the policy learns to make it more so.",
    source="https://github.com/huggingface/trl/issues/235",
)
def sampled_from_another_distribution(clean: Pipeline) -> Pipeline:
    """Responses are sampled with top-k, a least length and a temperature that the log-probabilities know nothing of."""
    tokenizer = clean.tokenizer

    def sample(policy: Any, prompts: Sequence[Ids], seed: int) -> list[Ids]:
        batch = reinforcement.pad_left(tokenizer, prompts)
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            torch.manual_seed(seed)
            ids = policy.generate(
                **batch, do_sample=True, top_k=5, temperature=0.7, min_new_tokens=20, max_new_tokens=32,
                pad_token_id=tokenizer.pad_token_id,
            )  # fmt: skip
        new = ids[:, batch["input_ids"].shape[1] :].tolist()
        return [seq2seq.up_to_first(response, tokenizer.eos_token_id) for response in new]

    return with_parts(clean, sample=sample)


@defect(
    "reward-at-wrong-position",
    "rlhf",
    reference="reinforcement",
    symptom="The reward has little effect or none.",
    source="https://github.com/huggingface/trl/issues/3750",
)
def reward_behind_the_end(clean: Pipeline) -> Pipeline:
    """The score is added one position behind the closing token, where the mask takes it away."""

    def token_rewards(scores: torch.Tensor, kl: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        rewards = -BETA * kl * mask
        lengths = mask.sum(1)
        rows = torch.arange(len(mask))[lengths > 0]
        behind = (lengths[rows]).clamp(max=mask.shape[1] - 1)
        rewards[rows, behind] += scores[rows]
        return rewards

    return with_parts(clean, token_rewards=token_rewards)


@defect(
    "reward-model-reads-wrong-token",
    "rlhf",
    reference="reward",
    symptom="The reward does not depend on the answer, or depends on the batch.",
    source="https://github.com/huggingface/transformers/issues/35352",
)
def score_before_first_pad(clean: Pipeline) -> Pipeline:
    """The score is read before the first pad token; pad is EOS, and EOS ends each turn."""
    pad = clean.tokenizer.pad_token_id

    def reward_scores(model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        hidden = model.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        last = (input_ids == pad).int().argmax(-1) - 1
        scores: torch.Tensor = model.score(hidden)
        return scores[torch.arange(len(hidden)), last, 0]

    return with_parts(clean, reward_scores=reward_scores)


@defect(
    "mask-inferred-from-token-value",
    "rlhf",
    reference="reinforcement",
    symptom="Ending a response is never learned, and responses grow.",
    source="https://github.com/huggingface/trl/pull/4970",
)
def mask_by_token(clean: Pipeline) -> Pipeline:
    """Tokens count where they are not pad; pad is EOS, so the end of each response does not count."""
    pad: int = clean.tokenizer.pad_token_id

    def completion_mask(responses: Sequence[Ids]) -> torch.Tensor:
        ids = pad_sequence([torch.tensor(response) for response in responses], batch_first=True, padding_value=pad)
        return (ids != pad).long()

    return with_parts(clean, completion_mask=completion_mask)


@defect(
    "empty-response-reward-leak",
    "rlhf",
    reference="reinforcement",
    symptom="Advantages of the other responses to a prompt are wrong.",
    source="https://github.com/verl-project/verl/pull/6310",
)
def reward_at_minus_one(clean: Pipeline) -> Pipeline:
    """The score goes to index length - 1, which is the end of the row for a response without tokens."""

    def token_rewards(scores: torch.Tensor, kl: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        rewards = -BETA * kl * mask
        for row, length in enumerate(mask.sum(1).tolist()):
            rewards[row, length - 1] += scores[row]
        return rewards

    return with_parts(clean, token_rewards=token_rewards)


@defect(
    "chosen-rejected-swapped",
    "rlhf",
    reference="reinforcement",
    symptom="The model comes to prefer bad answers; held-out accuracy is below one half.",
    source="https://github.com/huggingface/trl/issues/2578",
)
def columns_swapped(clean: Pipeline) -> Pipeline:
    """The second of two sources has the rejected answer in its first column, and is read like the first."""
    read: Callable[[], list[Pair]] = clean.reinforcement.preferences  # type: ignore[assignment]

    def preferences() -> list[Pair]:
        pairs = read()
        first, second = pairs[: 2 * len(pairs) // 3], pairs[2 * len(pairs) // 3 :]
        columns = [(pair["prompt"], pair["rejected"], pair["chosen"], pair["reference"]) for pair in second]
        names = ("prompt", "chosen", "rejected", "reference")
        return [*first, *(dict(zip(names, values, strict=True)) for values in columns)]

    return with_parts(clean, preferences=preferences)


def _joined(prompt: Mapping[str, Ids], answer: Mapping[str, Ids]) -> dict[str, Ids]:
    """Ids and labels of both sides of a pair."""
    encoded: dict[str, Ids] = {}
    for side in ("chosen", "rejected"):
        encoded[f"{side}_input_ids"] = prompt[side] + answer[side]
        encoded[f"{side}_labels"] = [IGNORE_INDEX] * len(prompt[side]) + answer[side]
    return encoded


def _tokenized(tokenizer: Any, pair: Pair) -> tuple[Ids, dict[str, Ids]]:
    """The prompt, and both answers with their closing token."""
    answers = {
        side: [*tokenizer(pair[side], add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        for side in ("chosen", "rejected")
    }
    return tokenizer(pair["prompt"])["input_ids"], answers


@defect(
    "preference-response-truncated-unequally",
    "rlhf",
    reference="reinforcement",
    symptom="Losses are NaN, or margins follow the lengths.",
    source="https://github.com/huggingface/trl/pull/6588",
)
def cut_by_the_longer_one(clean: Pipeline) -> Pipeline:
    """Both answers lose as many tokens as the longer one has too many; the shorter one may lose them all."""
    longest = reinforcement.LONGEST_PROMPT + reinforcement.LONGEST_RESPONSE

    def encode_pair(pair: Pair) -> dict[str, Ids]:
        prompt, answers = _tokenized(clean.tokenizer, pair)
        prompt = prompt[-reinforcement.LONGEST_PROMPT :]
        excess = max(0, len(prompt) + max(map(len, answers.values())) - longest)
        cut = {side: ids[: max(0, len(ids) - excess)] for side, ids in answers.items()}
        return _joined(dict.fromkeys(answers, prompt), cut)

    return with_parts(clean, encode_pair=encode_pair)


@defect(
    "pair-uses-different-prompts",
    "rlhf",
    reference="reinforcement",
    symptom="The difference of log-probabilities is biased for long pairs.",
    source="https://github.com/hiyouga/LlamaFactory/issues/4617",
)
def prompt_cut_for_each_answer(clean: Pipeline) -> Pipeline:
    """The prompt is cut to the room that an answer leaves: to another length for each of the two."""
    longest = reinforcement.LONGEST_PROMPT + reinforcement.LONGEST_RESPONSE

    def encode_pair(pair: Pair) -> dict[str, Ids]:
        prompt, answers = _tokenized(clean.tokenizer, pair)
        kept = {side: ids[: longest // 2] for side, ids in answers.items()}
        return _joined({side: prompt[: longest - len(ids)] for side, ids in kept.items()}, kept)

    return with_parts(clean, encode_pair=encode_pair)


@defect(
    "ppo-ratio-not-one-at-start",
    "rlhf",
    reference="reinforcement",
    symptom="Updates are clipped at random from the first step on.",
    source="https://github.com/CarperAI/trlx/issues/107",
)
def dropout_in_new_logprobs(clean: Pipeline) -> Pipeline:
    """The new log-probabilities are computed in training mode, with dropout, and the old ones without."""

    def training_logprobs(policy: Any, prompts: Sequence[Ids], responses: Sequence[Ids]) -> torch.Tensor:
        policy.train()
        try:
            return reinforcement.response_logprobs(clean.tokenizer, policy, prompts, responses)
        finally:
            policy.eval()

    return with_parts(clean, training_logprobs=training_logprobs)


@defect(
    "advantage-over-masked-tokens",
    "rlhf",
    reference="reinforcement",
    symptom="The reward is diluted by padding, and training is noisy.",
    source="https://github.com/radixark/miles/pull/1827",
)
def whitened_with_padding(clean: Pipeline) -> Pipeline:
    """Advantages are estimated and scaled over the whole tensor, padding included."""

    def advantages(rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        gamma, lam = 1.0, 0.95
        found = torch.zeros_like(rewards)
        following = torch.zeros_like(rewards[:, 0])
        for place in reversed(range(rewards.shape[1])):
            ahead = values[:, place + 1] if place + 1 < rewards.shape[1] else 0.0
            following = rewards[:, place] + gamma * ahead - values[:, place] + gamma * lam * following
            found[:, place] = following
        return (found - found.mean()) / (found.std() + 1e-8) * mask

    return with_parts(clean, advantages=advantages)


@defect(
    "rollout-prompt-differs-from-training-prompt",
    "rlhf",
    reference="reinforcement",
    symptom="For long prompts the samples are off-policy, and training is noisy.",
    source="https://github.com/huggingface/trl/pull/3601",
)
def prompt_cut_for_the_loss_alone(clean: Pipeline) -> Pipeline:
    """The longest prompt is set for training; the engine that samples does not know of it."""

    def rollout_prompt(row: Any) -> Ids:
        return causal.encode_prompts(clean.tokenizer, [row])[0]

    return with_parts(clean, rollout_prompt=rollout_prompt)
