"""The encoder of T5, and what its layers share with the decoder's."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional
from transformers import PreTrainedModel

from harness.generation.graph.linear import join

PIECE = 1024
"""So many tokens of the sources are read at once on the CPU: their states stay in its caches."""


class Norm:
    """Root mean square norm.

    Source: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization", equation 4.
    """

    def __init__(self, norm: Any) -> None:
        self._weight, self._epsilon = norm.weight, norm.variance_epsilon

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """The same shape, (..., model_size)."""
        return functional.rms_norm(hidden, self._weight.shape, self._weight, self._epsilon)


class FeedForward:
    """The last part of a layer, gated or not.

    Args:
        part: a ``T5LayerFF``.
        rows: how many rows an input has at most.
    """

    def __init__(self, part: Any, rows: int) -> None:
        dense = part.DenseReluDense
        self._gated = hasattr(dense, "wi_0")
        self._norm, self._activation = Norm(part.layer_norm), dense.act
        self._rise = join([dense.wi_0, dense.wi_1] if self._gated else [dense.wi], rows=rows)
        self._fall = join([dense.wo], rows=rows)

    def __call__(self, hidden: torch.Tensor) -> torch.Tensor:
        """The input with the output added to it, (rows, model_size)."""
        risen = self._rise(self._norm(hidden))
        if self._gated:
            gate, linear = risen.chunk(2, -1)
            return hidden + self._fall(self._activation(gate) * linear)
        return hidden + self._fall(self._activation(risen))


class Encoder:
    """Reads sources with the weights of a T5 model.

    Args:
        model: the model, where it should work.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        stack: Any = model.encoder
        self._heads, self._embed = model.config.num_heads, stack.embed_tokens
        self._compute_bias = stack.block[0].layer[0].SelfAttention.compute_bias
        self._layers = [_EncoderLayer(block) for block in stack.block]
        self._norm = Norm(stack.final_layer_norm)

    def read(self, sources: torch.Tensor, padding: torch.Tensor) -> torch.Tensor:
        """The states of the last layer, (rows * source_len, model_size).

        Args:
            sources: (rows, source_len) int64, padded.
            padding: (rows, 1, 1, source_len), 0 where a token stands, ``-inf`` elsewhere.
        """
        rows, length = sources.shape
        bias = self._compute_bias(length, length, device=sources.device) + padding
        hidden = self._embed(sources).flatten(0, 1)
        for layer in self._layers:
            qkv = layer.qkv(layer.norm(hidden)).view(rows, length, 3, self._heads, -1)
            query, key, value = qkv.permute(2, 0, 3, 1, 4)
            seen = functional.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=1.0)
            hidden = hidden + layer.output(seen.transpose(1, 2).flatten(2).flatten(0, 1))
            hidden = layer.feed_forward(hidden)
        return self._norm(hidden)


class _EncoderLayer:
    """One layer of the encoder, its products joined."""

    def __init__(self, block: Any) -> None:
        own, forward = block.layer
        attention = own.SelfAttention
        self.norm = Norm(own.layer_norm)
        self.qkv = join([attention.q, attention.k, attention.v], rows=PIECE)
        self.output = join([attention.o], rows=PIECE)
        self.feed_forward = FeedForward(forward, PIECE)
