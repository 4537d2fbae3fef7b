"""Soft prompts: a few vectors that are trained stand before the input, or before each layer; the model is frozen.

Source: Lester et al. 2021, "The Power of Scale for Parameter-Efficient Prompt Tuning"; Li and Liang 2021,
"Prefix-Tuning: Optimizing Continuous Prompts for Generation".
"""

from __future__ import annotations

import copy
from typing import Any

import peft
import torch
from transformers import PreTrainedModel

from harness.config import PromptSettings, TrainingSettings
from harness.lesson import Lesson, Trained
from harness.methods.parameter_efficient import require_only_adapter_moved
from harness.training import fine_tune


def tune_soft_prompt(
    model: PreTrainedModel, lesson: Lesson, settings: TrainingSettings, prompt: PromptSettings
) -> Trained:
    """Train a soft prompt for a copy of the model.

    Args:
        model: an encoder-decoder or a causal model; it is not changed.
        lesson: what there is to learn.
        settings: learning rate, epochs and so on.
        prompt: the variant, and its length.

    Raises:
        StrayWeightsError: weights of the model moved.
        SameWeightsError: the soft prompt did not learn.
    """
    wrapped = wrap(model, prompt, seed=settings.seed)
    trained = fine_tune(wrapped, lesson, settings)
    require_only_adapter_moved(wrapped, trained.model)
    return trained


def wrap(model: PreTrainedModel, prompt: PromptSettings, *, seed: int) -> peft.PeftModel:
    """A copy of ``model`` behind a fresh soft prompt, drawn from the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        wrapped = peft.get_peft_model(copy.deepcopy(model), _configure(model, prompt))
    if not model.config.is_encoder_decoder:
        wrapped.get_base_model().register_forward_pre_hook(count_positions, with_kwargs=True)
    return wrapped


def count_positions(
    model: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Before a forward pass: positions are counted over what is no padding.

    PEFT puts the soft prompt before the padding on the left and drops the positions, so a text in a batch would stand
    farther from its prompt than alone, and its output would depend on its neighbours.
    """
    mask, read = kwargs.get("attention_mask"), kwargs.get("inputs_embeds")
    read = kwargs.get("input_ids") if read is None else read
    if kwargs.get("position_ids") is None and mask is not None and mask.dim() == 2 and read is not None:  # noqa: PLR2004 - (batch, length)
        positions = (mask.long().cumsum(-1) - 1).clamp(min=0)
        kwargs = {**kwargs, "position_ids": positions[:, -read.shape[1] :]}
    return args, kwargs


def _configure(model: PreTrainedModel, prompt: PromptSettings) -> peft.PeftConfig:
    kind = "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"
    if prompt.variant == "prefix-tuning":
        return peft.PrefixTuningConfig(task_type=kind, num_virtual_tokens=prompt.virtual_tokens)
    return peft.PromptTuningConfig(
        task_type=kind,
        num_virtual_tokens=prompt.virtual_tokens,
        # Of an encoder-decoder PEFT would make as many for the decoder, which nothing reads.
        num_transformer_submodules=1,
        # The embeddings of words are better to start from than noise (Lester et al., section 3.2).
        prompt_tuning_init="SAMPLE_VOCAB",
    )
