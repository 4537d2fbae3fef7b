"""Which models and settings our own decoding reproduces."""

from __future__ import annotations

import torch
from torch import nn
from transformers import PreTrainedModel

from harness.errors import SettingsError
from harness.generation.engine import Resolved

KINDS = ("t5", "mt5")
"""The model types whose modules are those of T5."""
CAUSAL = ("llama", "gpt2")
"""The causal model types whose beams may be handed to them as tokens of one sequence."""
PRECISIONS = (torch.float32, torch.bfloat16, torch.float64)
ATTENTIONS = ("sdpa", "eager")
"""Those that take a mask of any form."""
ROTARY = ("default", "linear", "llama3")
"""Rotary positions that do not depend on how long a batch is."""
FIX = 'Set generation.engine to "transformers", or to "auto".'


def require_known(model: PreTrainedModel) -> None:
    """Make sure that a model is one that the decoders reproduce.

    Raises:
        SettingsError: it is not; the message says why.
    """
    found = _find_unknown(model)
    if found is not None:
        raise SettingsError(
            f'generation.engine is "graph", and the model {found}.',
            why="That engine decodes plain T5, Llama and GPT-2 models, in float32 or bfloat16; what else is in a model "
            "it would leave out.",
            fix=FIX,
        )


def refuse_settings(model: PreTrainedModel, settings: Resolved) -> None:
    """Make sure that the settings mean something to the decoder of the model.

    Raises:
        SettingsError: they do not.
    """
    if not model.config.is_encoder_decoder and settings.get("forced_bos_token_id") is not None:
        raise SettingsError(
            'generation.engine is "graph", a first token is forced, and the model is causal.',
            why="What transformers does then depends on the length of the prompt.",
            fix=FIX,
        )


def _find_unknown(model: PreTrainedModel) -> str | None:
    """What of a model is unknown; nothing where all is known."""
    kind, config = getattr(model.config, "model_type", "?"), model.config
    if kind not in KINDS + CAUSAL or not type(model).__module__.startswith("transformers.models."):
        return f"is a {kind} of class {type(model).__name__}"
    changed = [name for name, module in model.named_modules() if not _is_plain(module)]
    if changed:
        return f'has "{changed[0]}" changed'
    if model.dtype not in PRECISIONS:
        return f"computes in {model.dtype}"
    if kind in CAUSAL and config._attn_implementation not in ATTENTIONS:  # noqa: SLF001 - no public name
        return f"attends by {config._attn_implementation}"  # noqa: SLF001
    rotary = [module.rope_type for module in model.modules() if hasattr(module, "rope_type")]
    unknown = [each for each in rotary if each not in ROTARY]
    return f'has rotary positions of type "{unknown[0]}"' if unknown else None


def _is_plain(module: nn.Module) -> bool:
    hooks = (*module._forward_hooks.values(), *module._forward_pre_hooks.values())  # noqa: SLF001 - no public name
    # Those of transformers itself only look: it leaves them on a model that was asked for its hidden states.
    known = all(getattr(hook, "__module__", "").startswith("transformers.") for hook in hooks)
    return known and type(module).__module__.startswith(("torch.nn.", "transformers."))
