"""What came of it, on rows that nothing was learned from: reward, KL, length and the task's metric together."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from harness.data.rows import Row
from harness.forms import Form
from harness.generation.batching import sorted_batches
from harness.methods.method import MethodWarning
from harness.methods.rlhf.pairs import encode_answers
from harness.methods.rlhf.policy import Ids, measure_kl, read_answers, sample_answers
from harness.methods.rlhf.rewards import Reward, ask_reward
from harness.metrics import METRICS
from harness.metrics.metric import Table
from harness.metrics.scorer import choose_scores
from harness.models.loading import LoadedModel
from harness.statistics import draw_flips

Floats = NDArray[np.float64]
BATCH = 32


class RewardHackingWarning(MethodWarning):
    """The reward rose and a metric that it does not know fell: the policy learned to please the reward."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A model on unseen rows, each array (rows,) float64.

    Args:
        reward: of the outputs.
        tokens: how long they are, EOS included.
        metric: a score that the reward is not made of, or else the task's headline; the more the better.
    """

    reward: Floats
    tokens: Floats
    metric: Floats


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What came of it, for reports: the numbers, the same as a table, and maybe a warning."""

    facts: dict[str, float]
    table: Table
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Ruler:
    """Measures models on the same rows in the same way.

    Args:
        form: how the task is put to the model.
        loaded: has the tokenizer.
        rows: that nothing is learned from.
        reward: what the policy is trained towards.
        reward_name: the family of scores that it is made of, if it is one.
    """

    form: Form
    loaded: LoadedModel
    rows: Sequence[Row]
    reward: Reward
    reward_name: str

    @property
    def _families(self) -> tuple[str, ...]:
        applying = tuple(name for name in self.form.task.metrics if METRICS[name].applies(self.rows))
        return tuple(name for name in applying if name != self.reward_name) or applying

    @property
    def independent(self) -> bool:
        """Whether the metric is another than the reward."""
        return self.reward_name not in self._families

    @property
    def metric_name(self) -> str:
        """The task's headline, or the first score where the headline is what is rewarded."""
        names = [name for family in self._families for name in METRICS[family].signatures]
        return self.form.task.headline if self.form.task.headline in names else names[0]

    def measure(self, model: PreTrainedModel) -> Measured:
        """Let a model answer as it is asked for the task, and judge the outputs."""
        loaded = self.loaded.with_weights_of(model)
        encoded = self.form.encode(self.rows, loaded)
        outputs = self.form.predict(loaded, self.rows, encoded, self.form.resolve(loaded))
        texts = [output.text for output in outputs]
        scorer = choose_scores(METRICS, self._families, self.rows)
        metric = scorer.score(outputs, self.rows)[self.metric_name]
        return Measured(
            reward=np.array(ask_reward(self.reward, texts, self.rows)),
            tokens=np.array([float(len(ids)) for ids in encode_answers(texts, self.form, loaded)]),
            metric=-metric if self.metric_name in scorer.lower_is_better else metric,
        )

    def measure_kl(self, policy: PreTrainedModel, reference: PreTrainedModel, *, seed: int) -> float:
        """The KL of the policy's answers from the reference, in nats an answer: a mean over one answer a row."""
        prompts: list[Ids] = [row.input_ids for row in self.form.encode(self.rows, self.loaded)]
        longest = self.form.experiment.rlhf.max_new_tokens
        total = 0.0
        for places in sorted_batches([len(prompt) for prompt in prompts], BATCH):
            asked = [prompts[place] for place in places]
            answers = sample_answers(policy, asked, max_new_tokens=longest, seed=seed)
            with torch.inference_mode():
                each = measure_kl(read_answers(policy, asked, answers), read_answers(reference, asked, answers))
            total += float(each.sum())
        return total / len(prompts)

    def compare(self, before: Measured, after: Measured, kl: float) -> Findings:
        """Both side by side; reward that rises while the metric falls is warned of.

        Both directions are tested with paired sign flips, at the experiment's level.
        """
        gate, name = self.form.experiment.gate, self.metric_name
        sign = -1.0 if name in choose_scores(METRICS, self._families, self.rows).lower_is_better else 1.0
        rises = p_of_rise(before.reward, after.reward, flips=gate.flips)
        falls = p_of_rise(after.metric, before.metric, flips=gate.flips)
        hacked = self.independent and rises < gate.level and falls < gate.level
        facts = {
            "unseen_rows": float(len(self.rows)),
            "reward_before": float(before.reward.mean()),
            "reward_after": float(after.reward.mean()),
            "reward_rises_p": rises,
            "kl": kl,
            "tokens_before": float(before.tokens.mean()),
            "tokens_after": float(after.tokens.mean()),
            f"{name}_before": sign * float(before.metric.mean()),
            f"{name}_after": sign * float(after.metric.mean()),
            "metric_falls_p": falls,
            "reward_hacking": float(hacked),
        }
        warning = (
            f"The reward rose from {facts['reward_before']:.3f} to {facts['reward_after']:.3f} on {len(self.rows)} "
            f"unseen rows (p {rises:.4f}), while {name} went from {facts[f'{name}_before']:.2f} to "
            f"{facts[f'{name}_after']:.2f} (p {falls:.4f}), at a KL of {kl:.2f} nats: the policy learned to "
            "please the reward. Make KL dearer (rlhf.beta; of DPO rlhf.dpo_beta), take fewer steps, or mend the reward."
        )
        if hacked:
            warnings.warn(warning, RewardHackingWarning, stacklevel=2)
        return Findings(facts=facts, table=self._tabulate(facts), warnings=(warning,) * hacked)

    def _tabulate(self, facts: dict[str, float]) -> Table:
        name = self.metric_name
        metric = f"{name}, {'no part of the reward' if self.independent else 'the reward itself'}"
        rows = (
            (f"reward: {self.reward_name}", "reward", ".3f", f"of a rise {facts['reward_rises_p']:.4f}"),
            (metric, name, ".2f", f"of a fall {facts['metric_falls_p']:.4f}"),
            ("tokens of an output", "tokens", ".1f", ""),
        )
        return Table(
            title=f"rlhf: supervised start and policy on {len(self.rows)} unseen rows",
            columns=("measured", "start", "policy", "p"),
            rows=(
                *(
                    (label, f"{facts[f'{key}_before']:{form}}", f"{facts[f'{key}_after']:{form}}", p)
                    for label, key, form, p in rows
                ),
                ("KL from the start, nats an answer", f"{0:.2f}", f"{facts['kl']:.2f}", ""),
            ),
        )


def p_of_rise(before: Floats, after: Floats, *, flips: int) -> float:
    """The p-value of "rows did not rise": one-sided, paired sign flips; (rows,) float64 each."""
    return float(draw_flips((after - before)[:, None], flips=flips).p_values("greater")[0])
