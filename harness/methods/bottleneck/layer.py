"""A layer with bottlenecks behind it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from peft.tuners.tuners_utils import BaseTunerLayer
from transformers.activations import ACT2FN

from harness.errors import UsageError
from harness.methods.bottleneck.config import BottleneckConfig


class BottleneckLayer(torch.nn.Module, BaseTunerLayer):  # type: ignore[misc]  # the base class is untyped
    """Makes h + up(activation(down(h))) of a layer's output h; with several adapters on, their changes are summed.

    ``up`` starts at zero, so a new adapter changes nothing, bit for bit.

    Args:
        base_layer: the layer whose outputs are changed; it has ``out_features``, or ``nf`` as a Conv1D.
        adapter_name: the first adapter.
        config: what it is like.

    Raises:
        UsageError: the layer does not say how wide its outputs are.
    """

    if TYPE_CHECKING:  # PEFT's own, for which torch has one type for everything
        active_adapters: list[str]
        disable_adapters: bool
        get_base_layer: Callable[[], torch.nn.Module]
        set_adapter: Callable[..., None]
        _move_adapter_to_device_of_base_layer: Callable[[str], None]

    adapter_layer_names = ("bottleneck_down", "bottleneck_up")
    other_param_names = ("bottleneck_activation",)

    def __init__(self, base_layer: torch.nn.Module, adapter_name: str, config: BottleneckConfig) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.bottleneck_down = torch.nn.ModuleDict()
        self.bottleneck_up = torch.nn.ModuleDict()
        self.bottleneck_activation = torch.nn.ModuleDict()
        self._active_adapter = adapter_name
        self.update_layer(adapter_name, config)

    def update_layer(self, adapter_name: str, config: BottleneckConfig) -> None:
        """Put one more adapter behind the layer; it is on only if it is the active one."""
        base = self.get_base_layer()
        width = getattr(base, "out_features", None) or getattr(base, "nf", None)
        if width is None:
            raise UsageError(
                f"A bottleneck cannot stand behind a {type(base).__name__}, whose width is not known.",
                fix="Name linear layers as target_modules: the last of each sublayer.",
            )
        narrow = max(1, width // config.reduction_factor)
        self.bottleneck_down[adapter_name] = torch.nn.Linear(width, narrow)
        self.bottleneck_up[adapter_name] = torch.nn.Linear(narrow, width)
        self.bottleneck_activation[adapter_name] = ACT2FN[config.activation]
        for entry in self.bottleneck_up[adapter_name].parameters():
            torch.nn.init.zeros_(entry)
        self._move_adapter_to_device_of_base_layer(adapter_name)
        self.set_adapter(self.active_adapters, inference_mode=config.inference_mode)

    def forward(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        """The layer's output and the changes of the adapters that are on: (..., width)."""
        hidden: torch.Tensor = self.base_layer(*args, **kwargs)
        result = hidden
        for name in [] if self.disable_adapters else self.active_adapters:
            if name in self.bottleneck_down:
                down, up = self.bottleneck_down[name], self.bottleneck_up[name]
                change = up(self.bottleneck_activation[name](down(hidden.to(next(down.parameters()).dtype))))
                result = result + change.to(hidden.dtype)
        return result

    def merge(self, safe_merge: bool = False, adapter_names: list[str] | None = None) -> None:  # noqa: FBT001, FBT002 - PEFT's own
        """Always fails: what is behind an activation cannot be folded into a matrix.

        Raises:
            UsageError: always.
        """
        raise UsageError(
            "Bottleneck adapters cannot be merged.",
            why="An activation stands between their projections: no matrix does what they do.",
            fix="Keep the adapter beside its base, or use LoRA.",
        )
