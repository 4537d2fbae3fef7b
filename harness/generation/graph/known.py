"""Which models our own decoder reproduces."""

from __future__ import annotations

import torch
from torch import nn
from transformers import PreTrainedModel

from harness.errors import SettingsError

KINDS = ("t5", "mt5")
"""The model types whose modules are those of T5."""
PRECISIONS = (torch.float32, torch.bfloat16, torch.float64)


def require_known(model: PreTrainedModel) -> None:
    """Make sure that a model is one that the decoder reproduces.

    Raises:
        SettingsError: it is not; the message says why.
    """
    kind = getattr(model.config, "model_type", "?")
    found = f"is a {kind} of class {type(model).__name__}"
    known = kind in KINDS and type(model).__module__.startswith("transformers.models.")
    if known:
        changed = [name for name, module in model.named_modules() if not _is_plain(module)]
        found = f'has "{changed[0]}" changed' if changed else f"computes in {model.dtype}"
    if not known or changed or model.dtype not in PRECISIONS:
        raise SettingsError(
            f'generation.engine is "graph", and the model {found}.',
            why="That engine computes with the weights of a plain T5, in float32 or bfloat16; what else is in a model "
            "it would leave out.",
            fix='Set generation.engine to "transformers", or to "auto".',
        )


def _is_plain(module: nn.Module) -> bool:
    hooks = (*module._forward_hooks.values(), *module._forward_pre_hooks.values())  # noqa: SLF001 - no public name
    # Those of transformers itself only look: it leaves them on a model that was asked for its hidden states.
    known = all(getattr(hook, "__module__", "").startswith("transformers.") for hook in hooks)
    return known and type(module).__module__.startswith(("torch.nn.", "transformers."))
