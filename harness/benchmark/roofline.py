"""How near a decoding step comes to what the memory of the device allows.

A step of an encoder-decoder must read, once:

- the weights of the decoder that a token passes, and the head: ``weights`` bytes;
- the keys and values of the source in every layer, which the beams of a row share:
  ``2 * layers * inner * rows * source_length`` numbers;
- the keys and values of the tokens so far, of every beam: ``2 * layers * inner * rows * beams * past`` numbers.

``inner`` is heads times head size, and ``past`` the mean number of tokens so far. What a step writes, and what stays in
caches between two kernels, is not counted, so the share that is reported is a lower bound of the bandwidth in use.

    share = bytes of a step / measured bandwidth / measured seconds of a step

Source: Williams, Waterman and Patterson 2009, "Roofline: an insightful visual performance model for multicore
architectures", Communications of the ACM 52(4), for the case that is bound by memory.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from harness.device import synchronise

if TYPE_CHECKING:
    from transformers import PreTrainedModel

COPIED = 256 * 2**20
"""Bytes that are copied to measure the bandwidth: more than any cache holds."""


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What decides how many bytes a decoding step moves.

    Args:
        weights: numbers in the decoder's matrices that every token passes, the head included.
        layers: of the decoder.
        inner: heads times head size.
        itemsize: bytes of a number.
    """

    weights: int
    layers: int
    inner: int
    itemsize: int

    def step_bytes(self, *, rows: int, beams: int, source_length: int, past: float) -> float:
        """Bytes that one step must read.

        Args:
            rows: in the batch.
            beams: sequences a row.
            source_length: tokens of a source.
            past: mean number of tokens that a sequence has so far.
        """
        cached = 2 * self.layers * self.inner * rows * (source_length + beams * past)
        return self.itemsize * (self.weights + cached)


def read_shape(model: PreTrainedModel) -> Shape:
    """The shape of a T5: of its cross-attention a step passes the query and the output, not the key and the value."""
    config = model.config
    layers, inner = config.num_decoder_layers, config.num_heads * config.d_kv
    counted = [
        parameter.numel()
        for name, parameter in model.decoder.block.named_parameters()
        if parameter.dim() > 1 and "relative" not in name and not name.endswith(tuple(_READ_ONCE))
    ]
    weights = sum(counted) + model.lm_head.weight.numel()
    return Shape(weights=weights, layers=layers, inner=inner, itemsize=model.dtype.itemsize)


_READ_ONCE = ("EncDecAttention.k.weight", "EncDecAttention.v.weight")


def measure_bandwidth(device: torch.device, *, rounds: int = 7) -> float:
    """Bytes a second that a copy reads and writes together; the best of some rounds, as it is a bound."""
    source = torch.ones(COPIED // 4, dtype=torch.float32, device=device)
    target = torch.empty_like(source)
    best = float("inf")
    for _ in range(rounds + 1):
        synchronise(device)
        began = time.perf_counter()
        target.copy_(source)
        synchronise(device)
        best = min(best, time.perf_counter() - began)
    return 2 * COPIED / best
