"""Causal models learn through TRL, which is fed the very token ids that the model is asked with.

TRL would write and tokenize the prompts by itself; then a policy would be trained on other ids than it is used with.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback

from harness.config import RlhfSettings
from harness.device import choose_device
from harness.errors import SettingsError
from harness.methods.rlhf.pairs import EncodedPair
from harness.methods.rlhf.policy import Ids, make_reference

ScoreTexts = Callable[[Sequence[int], Sequence[str]], list[float]]
"""From the places of the prompts and the answers to them, their rewards."""


def require_trl() -> None:
    """Make sure that TRL is there.

    Raises:
        SettingsError: it is not installed.
    """
    if importlib.util.find_spec("trl") is None:
        raise SettingsError(
            "The method rlhf trains causal models with TRL, which is not installed.",
            fix="Install it: pip install trl. An encoder-decoder, as tiny-t5, needs no TRL.",
        )


def optimise_reward(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Ids],
    score: ScoreTexts,
    settings: RlhfSettings,
    *,
    seed: int,
) -> tuple[PreTrainedModel, tuple[float, ...]]:
    """Train a copy of a causal policy with TRL's RLOO.

    Returns:
        The trained copy, and the loss of each update.
    """
    import trl  # noqa: PLC0415 - an extra
    from datasets import Dataset  # noqa: PLC0415

    class Trainer(trl.RLOOTrainer):  # type: ignore[misc]  # the base class is untyped
        """A prompt is the place of its row, which stands for the row's ids."""

        def _tokenize_prompts(self, places: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
            return [list(prompts[int(place)]) for place in places], None, {}

    def reward(prompts: list[str], completions: list[str], **_: Any) -> list[float]:
        return score([int(place) for place in prompts], completions)

    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        # TRL loads the reference from where the policy came from.
        start = Path(folder) / "start"
        policy.save_pretrained(start)
        copied = type(policy).from_pretrained(start, dtype=policy.dtype)
        arguments = trl.RLOOConfig(
            **_common(folder, seed),
            learning_rate=settings.learning_rate,
            beta=settings.beta,
            per_device_train_batch_size=settings.batch_size * settings.samples,
            max_steps=settings.steps * settings.updates,
            num_iterations=settings.updates,
            steps_per_generation=1,
            num_generations=settings.samples,
            max_completion_length=settings.max_new_tokens,
            temperature=settings.temperature,
            top_k=0,
            top_p=1.0,
            epsilon=0.2,
        )
        trainer = Trainer(
            model=copied,
            reward_funcs=reward,
            args=arguments,
            train_dataset=Dataset.from_dict({"prompt": [str(place) for place in range(len(prompts))]}),
            processing_class=tokenizer,
        )
        return _train(trainer, policy)


def optimise_pairs(
    policy: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[EncodedPair],
    settings: RlhfSettings,
    *,
    seed: int,
) -> tuple[PreTrainedModel, tuple[float, ...]]:
    """Train a copy of a causal policy with TRL's DPO.

    Returns:
        The trained copy, and the loss of each step.
    """
    import trl  # noqa: PLC0415 - an extra
    from datasets import Dataset  # noqa: PLC0415

    encoded = [
        {"prompt_ids": list(pair.prompt), "chosen_ids": list(pair.chosen), "rejected_ids": list(pair.rejected)}
        for pair in pairs
    ]

    class Trainer(trl.DPOTrainer):  # type: ignore[misc]  # the base class is untyped
        """The pairs are token ids already."""

        def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
            return dataset

    with tempfile.TemporaryDirectory(prefix="harness-") as folder:
        arguments = trl.DPOConfig(
            **_common(folder, seed),
            learning_rate=settings.dpo_learning_rate,
            beta=settings.dpo_beta,
            per_device_train_batch_size=settings.batch_size,
            max_steps=settings.steps,
            max_length=None,
        )
        trainer = Trainer(
            model=make_reference(policy).requires_grad_(requires_grad=True),
            ref_model=make_reference(policy),
            args=arguments,
            train_dataset=Dataset.from_list(encoded),
            processing_class=tokenizer,
        )
        return _train(trainer, policy)


def _common(folder: str, seed: int) -> dict[str, Any]:
    return {
        "output_dir": folder,
        "lr_scheduler_type": "linear",
        "weight_decay": 0.0,
        "disable_dropout": True,
        "gradient_checkpointing": False,
        "bf16": False,
        "use_cpu": choose_device().type == "cpu",
        "seed": seed,
        "logging_steps": 1,
        "save_strategy": "no",
        "report_to": "none",
        "disable_tqdm": not sys.stderr.isatty(),
    }


def _train(trainer: Any, start: PreTrainedModel) -> tuple[PreTrainedModel, tuple[float, ...]]:
    """Train, and put the weights into a model that is otherwise as the start was."""
    for module in trainer.model.modules():
        # TRL silences layers of dropout, and attention has a number of its own: the first ratio would not be 1.
        if hasattr(module, "attention_dropout"):
            module.attention_dropout = 0.0
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    losses = tuple(float(entry["loss"]) for entry in trainer.state.log_history if "loss" in entry)
    tuned = make_reference(start).requires_grad_(requires_grad=True)
    tuned.load_state_dict(trainer.model.state_dict())
    return tuned, losses
