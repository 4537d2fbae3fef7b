"""Matrix products with weights that are laid out once for all steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

PACKED_FROM = 200_000
"""Smaller weights are not packed: the call itself would take longer than what is won."""
Product = Callable[[torch.Tensor], torch.Tensor]
"""From (rows, in_features) to (rows, out_features)."""


def join(layers: Sequence[nn.Linear], *, rows: int) -> Product:
    """Several linear layers over the same input as one product; their outputs stand side by side.

    On the CPU large float32 weights are packed for oneDNN: with the few rows of a decoding step that takes a half to a
    quarter of the time of the unpacked product.

    Args:
        layers: layers without bias; their weights are copied where there are several or where they are packed.
        rows: how many rows an input has at most.
    """
    weight = layers[0].weight if len(layers) == 1 else torch.cat([layer.weight for layer in layers])
    weight = weight.detach()
    if _can_pack(weight):
        packed = torch.ops.mkldnn._reorder_linear_weight(weight.contiguous(), rows)  # noqa: SLF001 - no public name
        product = torch.ops.mkldnn._linear_pointwise  # noqa: SLF001
        return lambda inputs: product(inputs, packed, None, "none", [], "")
    return lambda inputs: nn.functional.linear(inputs.to(weight.dtype), weight)


def _can_pack(weight: torch.Tensor) -> bool:
    if weight.device.type != "cpu" or weight.dtype != torch.float32 or weight.numel() < PACKED_FROM:
        return False
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and hasattr(torch.ops.mkldnn, "_linear_pointwise")
