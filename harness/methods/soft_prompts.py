"""Soft prompts: a few vectors that are trained stand before the input, or before each layer; the model is frozen.

Source: Lester et al. 2021, "The Power of Scale for Parameter-Efficient Prompt Tuning"; Li and Liang 2021,
"Prefix-Tuning: Optimizing Continuous Prompts for Generation".
"""

from __future__ import annotations

import copy

import peft
import torch
from transformers import PreTrainedModel

from harness.config import PromptSettings, TrainingSettings
from harness.lesson import Lesson, Trained
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
    """
    with torch.random.fork_rng():
        torch.manual_seed(settings.seed)
        wrapped = peft.get_peft_model(copy.deepcopy(model), _configure(model, prompt))
    return fine_tune(wrapped, lesson, settings)


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
