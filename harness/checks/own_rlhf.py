"""The parts of learning from preferences as the harness's own method has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from harness.checks.parts import ReinforcementParts
from harness.checks.pipeline import Pipeline
from harness.data.columns import Record
from harness.data.rows import Row
from harness.forms import Form
from harness.methods.rlhf import dpo, pairs, policy, reward_model, rewards, rloo
from harness.models.loading import LoadedModel
from harness.tasks.task import IGNORE_INDEX

PAIRS = 200
"""How many pairs the checks look at, at most."""


@dataclass(frozen=True, kw_only=True)
class OwnRlhf:
    """What the method does, part by part.

    Args:
        form: how the task is put to the model; its experiment has the settings.
        base: the model with its tokenizer.
        rows: training rows.
    """

    form: Form
    base: LoadedModel
    rows: Sequence[Row]

    def name_parts(self) -> ReinforcementParts:
        """The parts, as checks take them; TRL has the losses of causal models."""
        settings = self.form.experiment.rlhf
        own: dict[str, Any] = {}
        if self.base.model.config.is_encoder_decoder:
            own = {
                "token_rewards": partial(rloo.spread_rewards, beta=settings.beta),
                "group_advantages": rloo.leave_one_out,
                "policy_loss": lose_without_kl,
                "preference_loss": self.lose,
            }
        return ReinforcementParts(
            preferences=self.write_pairs,
            encode_pair=self.encode_pair,
            make_reference=policy.make_reference,
            sample=partial(
                policy.sample_answers, max_new_tokens=settings.max_new_tokens, temperature=settings.temperature
            ),
            rollout_logprobs=self.weigh,
            training_logprobs=self.weigh,
            rollout_prompt=self.encode_prompt,
            training_prompt=self.encode_prompt,
            completion_mask=policy.mask_answers,
            reward=self.reward,
            **own,
        )

    def write_pairs(self) -> list[dict[str, str]]:
        """The newsroom's pairs, with the row's own summary as reference, whatever the pair calls chosen."""
        summaries = {row.input: row.target for row in self.rows}
        return [
            {
                "prompt": pair.row.input,
                "chosen": pair.row.target,
                "rejected": pair.rejected,
                "reference": summaries[pair.row.input],
            }
            for pair in pairs.make_pairs(self.rows)[:PAIRS]
        ]

    def encode(self, mappings: Sequence[Record]) -> list[pairs.EncodedPair]:
        """Pairs of texts as the method encodes them."""
        made = [
            pairs.Pair(row=Row(id=str(place), input=p["prompt"], target=p["chosen"]), rejected=p["rejected"])
            for place, p in enumerate(mappings)
        ]
        return pairs.encode_pairs(made, self.form, self.base)

    def encode_pair(self, pair: Record) -> dict[str, list[int]]:
        """Ids and labels of both answers behind their prompt."""
        encoded = self.encode([pair])[0]
        prompt, masked = [*encoded.prompt], [IGNORE_INDEX] * len(encoded.prompt)
        return {
            "chosen_input_ids": [*prompt, *encoded.chosen],
            "chosen_labels": [*masked, *encoded.chosen],
            "rejected_input_ids": [*prompt, *encoded.rejected],
            "rejected_labels": [*masked, *encoded.rejected],
        }

    def encode_prompt(self, record: Record) -> list[int]:
        """What is sampled from, and what stands before an answer in the loss."""
        row = self.form.task.read_record(record, 0)
        return self.form.encode([row], self.base)[0].input_ids

    def weigh(self, model: Any, prompts: Sequence[policy.Ids], responses: Sequence[policy.Ids]) -> torch.Tensor:
        """The log-probability of each token of the responses, at the temperature that they are drawn at."""
        temperature = self.form.experiment.rlhf.temperature
        return policy.read_answers(model, prompts, responses, temperature=temperature).logprobs

    def lose(self, model: Any, reference: Any, mappings: Sequence[Record]) -> torch.Tensor:
        """The loss of DPO over pairs of texts."""
        beta = self.form.experiment.rlhf.dpo_beta
        return dpo.preference_loss(model, reference, self.encode(mappings), beta=beta)

    def reward(self, prompts: Sequence[str], responses: Sequence[str]) -> list[float]:
        """The reward by rule of texts that are rows' inputs."""
        known = {row.input: row for row in self.rows}
        found = rewards.find_reward(self.form.experiment.rlhf.reward, self.rows)
        return rewards.ask_reward(found, responses, [known[prompt] for prompt in prompts])

    def make_reward_pipeline(self) -> Pipeline:
        """The pipeline whose model gives scores: the reward model, before it learns."""

        def make_model(seed: int = 0) -> reward_model.RewardModel:
            return reward_model.RewardModel(self.base.model)

        return Pipeline(
            name=f"{self.form.experiment.name} reward",
            tokenizer=self.base.tokenizer,
            make_model=make_model,
            reinforcement=ReinforcementParts(reward_scores=self.score_texts),
        )

    def score_texts(self, model: Any, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """The scores of texts as answers to an empty prompt."""
        answers = [ids[mask.bool()].tolist() for ids, mask in zip(input_ids, attention_mask, strict=True)]
        scores: torch.Tensor = model([[self.base.tokenizer.eos_token_id]] * len(answers), answers)
        return scores


def lose_without_kl(
    logprobs: torch.Tensor,
    old_logprobs: torch.Tensor,
    reference_logprobs: torch.Tensor,
    advantages: torch.Tensor,
    mask: torch.Tensor,
) -> torch.Tensor:
    """The loss of RLOO, whose KL term stands in the rewards."""
    return rloo.policy_loss(logprobs, old_logprobs, advantages, mask)
