"""Clean preference and reinforcement learning: a tiny GPT-2 as the policy, and a tiny Llama as the reward model.

Advantages are those of PPO (Schulman et al. 2017, arXiv:1707.06347, with generalised advantage estimation, 1506.02438)
and of RLOO (Ahmadian et al. 2024, 2402.14740); preferences are learned by DPO (Rafailov et al. 2023, 2305.18290); the
KL term in the loss is the estimator k3 of Schulman (2020, "Approximating KL divergence").
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch.nn.functional import logsigmoid
from torch.nn.utils.rnn import pad_sequence
from transformers import LlamaConfig, LlamaForSequenceClassification, PreTrainedModel, PreTrainedTokenizerBase

from harness.checks.parts import ReinforcementParts
from harness.checks.pipeline import Declared, Pipeline
from harness.defects.reference import causal, models, seq2seq, tokenizers
from harness.defects.reference.loop import IGNORE_INDEX
from harness.defects.reference.rows import Row, read_splits
from harness.defects.reference.seq2seq import cut

Ids = list[int]
Pair = Mapping[str, str]

BETA = 0.1
LONGEST_PROMPT = 96
LONGEST_RESPONSE = 32


def make_pipeline(tokenizer: PreTrainedTokenizerBase, *, name: str = "reinforcement") -> Pipeline:
    """The pipeline over a tokenizer whose pad may be its EOS."""
    encode_prompt = partial(encode_prompts, tokenizer)
    logprobs = partial(response_logprobs, tokenizer)
    return Pipeline(
        name=name,
        declared=Declared(task="generation", beta=BETA),
        tokenizer=tokenizer,
        splits=read_splits,
        make_model=lambda seed=0: models.make_gpt2(tokenizer, seed),
        reinforcement=ReinforcementParts(
            preferences=read_preferences,
            encode_pair=partial(encode_pair, tokenizer),
            make_reference=make_reference,
            sample=partial(sample_responses, tokenizer),
            rollout_logprobs=logprobs,
            training_logprobs=logprobs,
            rollout_prompt=lambda row: encode_prompt([row])[0],
            training_prompt=lambda row: encode_prompt([row])[0],
            completion_mask=mask_responses,
            token_rewards=spread_rewards,
            advantages=estimate_advantages,
            group_advantages=leave_one_out,
            policy_loss=policy_loss,
            preference_loss=partial(preference_loss, tokenizer),
            reward=share_of_words,
        ),
    )


def read_preferences() -> list[Pair]:
    """Pairs of a true summary and one of another event, with the true one as reference."""
    rows = read_splits()["train"]
    return [
        {
            "prompt": causal.write_prompt(row),
            "chosen": " " + row["target"],
            "rejected": " " + other["target"],
            "reference": row["target"],
        }
        for row, other in zip(rows, rows[1:] + rows[:1], strict=True)
    ]


def encode_pair(tokenizer: PreTrainedTokenizerBase, pair: Pair) -> dict[str, Ids]:
    """Both answers behind the same prompt; prompt and answers have limits of their own."""
    prompt = tokenizer(pair["prompt"])["input_ids"][-LONGEST_PROMPT:]
    encoded: dict[str, Ids] = {}
    for side in ("chosen", "rejected"):
        said = tokenizer(pair[side], add_special_tokens=False)["input_ids"]
        answer = cut([*said, tokenizer.eos_token_id], LONGEST_RESPONSE)
        encoded[f"{side}_input_ids"] = prompt + answer
        encoded[f"{side}_labels"] = [IGNORE_INDEX] * len(prompt) + answer
    return encoded


def encode_prompts(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> list[Ids]:
    """What is sampled from and what stands in the loss: the end of the prompt."""
    return [prompt[-LONGEST_PROMPT:] for prompt in causal.encode_prompts(tokenizer, rows)]


def make_reference(policy: PreTrainedModel) -> PreTrainedModel:
    """A frozen copy of the policy."""
    reference = copy.deepcopy(policy).eval()
    reference.requires_grad_(requires_grad=False)
    return reference


def sample_responses(
    tokenizer: PreTrainedTokenizerBase, policy: PreTrainedModel, prompts: Sequence[Ids], seed: int
) -> list[Ids]:
    """One answer a prompt from the policy's own distribution, EOS included."""
    batch = pad_left(tokenizer, prompts)
    with torch.random.fork_rng(devices=[]), torch.inference_mode():
        torch.manual_seed(seed)
        ids = policy.generate(
            **batch, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=LONGEST_RESPONSE,
            pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
    new = ids[:, batch["input_ids"].shape[1] :].tolist()
    return [seq2seq.up_to_first(response, tokenizer.eos_token_id) for response in new]


def pad_left(tokenizer: PreTrainedTokenizerBase, prompts: Sequence[Ids]) -> dict[str, torch.Tensor]:
    """Prompts as a batch, with a mask by position."""
    longest = max(map(len, prompts))
    fill = tokenizer.pad_token_id
    return {
        "input_ids": torch.tensor([[fill] * (longest - len(prompt)) + list(prompt) for prompt in prompts]),
        "attention_mask": torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]),
    }


def response_logprobs(
    tokenizer: PreTrainedTokenizerBase, policy: PreTrainedModel, prompts: Sequence[Ids], responses: Sequence[Ids]
) -> torch.Tensor:
    """The log-probability of each response token: (batch, length) float, 0 behind a response's end."""
    rows = [torch.tensor([*prompt, *response]) for prompt, response in zip(prompts, responses, strict=True)]
    ids = pad_sequence(rows, batch_first=True, padding_value=tokenizer.pad_token_id)
    mask = pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
    logits = policy(input_ids=ids, attention_mask=mask).logits[:, :-1]
    each = logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]
    answers = [
        row[len(prompt) - 1 : len(prompt) - 1 + len(response)]
        for row, prompt, response in zip(each, prompts, responses, strict=True)
    ]
    return pad_sequence(answers, batch_first=True)


def mask_responses(responses: Sequence[Ids]) -> torch.Tensor:
    """1 for each token of a response, EOS included, 0 behind its end: (batch, length) int64."""
    return pad_sequence([torch.ones(len(response), dtype=torch.int64) for response in responses], batch_first=True)


def spread_rewards(scores: torch.Tensor, kl: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The KL penalty at each token, and the score at the last one; a response without tokens gets neither."""
    rewards = -BETA * kl * mask
    lengths = mask.sum(1)
    rows = torch.arange(len(mask))[lengths > 0]
    rewards[rows, lengths[rows] - 1] += scores[rows]
    return rewards


def estimate_advantages(
    rewards: torch.Tensor, values: torch.Tensor, mask: torch.Tensor, *, gamma: float = 1.0, lam: float = 0.95
) -> torch.Tensor:
    """Generalised advantage estimation over real tokens, made to have mean 0 and deviation 1 over them."""
    keep = mask.bool()
    rewards, values = rewards.masked_fill(~keep, 0.0), values.masked_fill(~keep, 0.0)
    advantages = torch.zeros_like(rewards)
    following = torch.zeros_like(rewards[:, 0])
    for place in reversed(range(rewards.shape[1])):
        ahead = values[:, place + 1] if place + 1 < rewards.shape[1] else torch.zeros_like(following)
        surprise = rewards[:, place] + gamma * ahead - values[:, place]
        following = torch.where(keep[:, place], surprise + gamma * lam * following, torch.zeros_like(following))
        advantages[:, place] = following
    real = advantages[keep]
    return ((advantages - real.mean()) / (real.std() + 1e-8)).masked_fill(~keep, 0.0)


def leave_one_out(scores: torch.Tensor, group: int) -> torch.Tensor:
    """Each score less the mean of the other scores of its prompt, as in RLOO: (batch,) float."""
    grouped = scores.reshape(-1, group)
    others = (grouped.sum(1, keepdim=True) - grouped) / (group - 1)
    return (grouped - others).reshape(-1)


def policy_loss(
    logprobs: torch.Tensor, old_logprobs: torch.Tensor, reference_logprobs: torch.Tensor, advantages: torch.Tensor,
    mask: torch.Tensor, *, beta: float = BETA, clip: float = 0.2,
) -> torch.Tensor:  # fmt: skip
    """The clipped loss of PPO with a KL term towards the reference, a mean over real tokens."""
    ratio = (logprobs - old_logprobs).exp()
    gain = torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)
    back = reference_logprobs - logprobs
    kl = back.exp() - back - 1
    return (beta * kl - gain)[mask.bool()].mean()


def preference_loss(
    tokenizer: PreTrainedTokenizerBase, policy: PreTrainedModel, reference: PreTrainedModel, pairs: Sequence[Pair]
) -> torch.Tensor:
    """The loss of DPO over pairs of texts."""
    margins = []
    for side in ("chosen", "rejected"):
        encoded = [encode_pair(tokenizer, pair) for pair in pairs]
        lengths = [sum(label == IGNORE_INDEX for label in pair[f"{side}_labels"]) for pair in encoded]
        rows = [pair[f"{side}_input_ids"] for pair in encoded]
        prompts = [ids[:length] for ids, length in zip(rows, lengths, strict=True)]
        answers = [ids[length:] for ids, length in zip(rows, lengths, strict=True)]
        with torch.no_grad():
            before = response_logprobs(tokenizer, reference, prompts, answers).sum(1)
        margins.append(response_logprobs(tokenizer, policy, prompts, answers).sum(1) - before)
    return -logsigmoid(BETA * (margins[0] - margins[1])).mean()


def share_of_words(prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
    """A reward by rule: the share of a response's words that its prompt has."""
    return [
        sum(word.strip(".") in prompt for word in response.split()) / max(1, len(response.split()))
        for prompt, response in zip(prompts, responses, strict=True)
    ]


def pad_is_eos() -> PreTrainedTokenizerBase:
    """The small byte-level tokenizer with EOS as its pad, as most users of GPT-2 and Llama set it."""
    tokenizer = copy.deepcopy(tokenizers.causal_tokenizer())
    tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def make_reward_model(tokenizer: PreTrainedTokenizerBase, seed: int) -> PreTrainedModel:
    """A Llama with a head that gives one number; it knows no pad, so its pooling has nothing to guess from."""
    config = LlamaConfig(
        vocab_size=len(tokenizer), hidden_size=models.WIDTH, intermediate_size=2 * models.WIDTH, num_labels=1,
        num_hidden_layers=models.LAYERS, num_attention_heads=models.HEADS, num_key_value_heads=models.HEADS,
        pad_token_id=tokenizer.pad_token_id, bos_token_id=tokenizer.bos_token_id, eos_token_id=tokenizer.eos_token_id,
    )  # fmt: skip
    return models.seeded(lambda: LlamaForSequenceClassification(config), seed)


def score_texts(model: PreTrainedModel, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """The score at each row's last token by its mask, whichever side is padded: (batch,) float."""
    hidden = model.model(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
    scores: torch.Tensor = model.score(hidden)[..., 0]
    last = (attention_mask * torch.arange(attention_mask.shape[1])).argmax(1)
    return scores[torch.arange(len(scores)), last]


def make_reward_pipeline(tokenizer: PreTrainedTokenizerBase, *, name: str = "reward") -> Pipeline:
    """A pipeline whose model gives scores."""
    return Pipeline(
        name=name,
        tokenizer=tokenizer,
        make_model=lambda seed=0: make_reward_model(tokenizer, seed),
        reinforcement=ReinforcementParts(reward_scores=score_texts),
    )


PIPELINE: Pipeline = make_pipeline(pad_is_eos())
REWARD_PIPELINE: Pipeline = make_reward_pipeline(pad_is_eos())
