"""The decoder of T5, one token a step: static caches, shared by the beams of a row and never reordered.

A token's keys and values stay where they were written; which of them a sequence may look at is a mask, made of the
``slots`` that the search keeps. All beams of a row are queries of one product over all slots of that row: the memory
that is read is the same as with a reordered cache, and nothing is copied.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from transformers import PreTrainedModel

from harness.generation.graph.encoder import PIECE, Encoder, FeedForward, Norm
from harness.generation.graph.known import require_known
from harness.generation.graph.linear import join
from harness.generation.graph.tensors import Tensors


@dataclass(frozen=True, kw_only=True)
class Memory(Tensors):
    """What the steps of one batch look at.

    Args:
        keys: a layer each, (rows, heads, head_size, source_len), of the encoder's output.
        values: likewise.
        padding: (rows, 1, 1, source_len), 0 or ``-inf``.
        own_keys: a layer each, (rows, heads, places * beams, head_size), of the tokens so far.
        own_values: likewise.
    """

    keys: tuple[torch.Tensor, ...]
    values: tuple[torch.Tensor, ...]
    padding: torch.Tensor
    own_keys: tuple[torch.Tensor, ...]
    own_values: tuple[torch.Tensor, ...]


class Layer:
    """One layer of the decoder, its products joined."""

    def __init__(self, block: Any, rows: int) -> None:
        own, cross, forward = block.layer
        attention, reading = own.SelfAttention, cross.EncDecAttention
        self.norm, self.cross_norm = Norm(own.layer_norm), Norm(cross.layer_norm)
        self.qkv = join([attention.q, attention.k, attention.v], rows=rows)
        self.output = join([attention.o], rows=rows)
        self.cross_query = join([reading.q], rows=rows)
        self.cross_kv = join([reading.k, reading.v], rows=PIECE)
        self.cross_output = join([reading.o], rows=rows)
        self.feed_forward = FeedForward(forward, rows)


class T5Decoder:
    """Decodes with the weights of a T5 model, which stay as they are.

    Args:
        model: the model, where it should work.
        rows: how many rows a batch has at most.
        beams: sequences a row.
        places: how long a sequence can get.

    Raises:
        SettingsError: the model is none that this decoder knows.
    """

    def __init__(self, model: PreTrainedModel, *, rows: int, beams: int, places: int) -> None:
        require_known(model)
        self._beams, self._places = beams, places
        self._encoder = Encoder(model)
        config, decoder = model.config, model.decoder
        self._embed = decoder.embed_tokens
        self._heads, self._size = config.num_heads, config.d_kv
        self._layers = [Layer(block, rows * beams) for block in decoder.block]
        self._norm = Norm(decoder.final_layer_norm)
        self._head = join([model.lm_head], rows=rows * beams)
        self._scale = measure_scale(model)
        first = decoder.block[0].layer[0].SelfAttention
        # (heads, places): the bias of a token so many places back.
        self._bias: torch.Tensor = (
            first.compute_bias(places, places, device=model.device)[0, :, -1].flip(-1).contiguous()
        )

    def start(self, sources: torch.Tensor, mask: torch.Tensor) -> Memory:
        """Read the sources.

        Args:
            sources: (rows, source_len) int64, padded.
            mask: (rows, source_len) int64, 1 where a token stands.
        """
        padding = torch.zeros(mask.shape, dtype=self._bias.dtype, device=mask.device)
        padding = padding.masked_fill_(mask == 0, -math.inf)[:, None, None]
        rows, length = sources.shape
        read = padding.new_zeros(len(self._layers), 2, rows, self._heads, self._size, length)
        # On the CPU a few rows at a time, whose states stay in its caches, and no longer than the longest of them.
        a_piece = rows if sources.is_cuda else max(1, PIECE // length)
        for first in range(0, rows, a_piece):
            piece = slice(first, first + a_piece)
            longest = length if sources.is_cuda else int(mask[piece].sum(1).max())
            states = self._encoder.read(sources[piece, :longest], padding[piece, ..., :longest])
            for layer, kept in zip(self._layers, read, strict=True):
                both = layer.cross_kv(states).view(-1, longest, 2, self._heads, self._size)
                kept[:, piece, ..., :longest] = both.permute(2, 0, 3, 4, 1)
        shape = (rows, self._heads, self._places * self._beams, self._size)
        return Memory(
            keys=tuple(keys for keys, _ in read),
            values=tuple(values for _, values in read),
            padding=padding,
            own_keys=tuple(read.new_zeros(shape) for _ in self._layers),
            own_values=tuple(read.new_zeros(shape) for _ in self._layers),
        )

    def step(
        self, memory: Memory, tokens: torch.Tensor, slots: torch.Tensor, position: torch.Tensor, width: int
    ) -> torch.Tensor:
        """Read one token of each sequence; see `harness.generation.graph.loop.Decoder`."""
        rows, beams, _ = tokens.shape
        own = torch.arange(beams, device=tokens.device)
        written = position * beams + own
        bias = self._make_bias(slots[..., :width], position, own)
        hidden = self._embed(tokens.index_select(2, position).flatten())
        for number, layer in enumerate(self._layers):
            qkv = layer.qkv(layer.norm(hidden)).view(rows, beams, 3, self._heads, -1)
            query, key, value = qkv.permute(2, 0, 3, 1, 4)
            keys = memory.own_keys[number].index_copy_(2, written, key)[:, :, : width * beams]
            values = memory.own_values[number].index_copy_(2, written, value)[:, :, : width * beams]
            hidden = hidden + layer.output(_attend(query, keys.transpose(2, 3), values.transpose(2, 3), bias))
            query = layer.cross_query(layer.cross_norm(hidden)).view(rows, beams, self._heads, -1).transpose(1, 2)
            read = _attend(query, memory.keys[number], memory.values[number], memory.padding)
            hidden = hidden + layer.cross_output(read)
            hidden = layer.feed_forward(hidden)
        hidden = self._norm(hidden)
        return self._head(hidden * self._scale)

    def _make_bias(self, slots: torch.Tensor, position: torch.Tensor, own: torch.Tensor) -> torch.Tensor:
        """(rows, heads, beams, width * beams): how far back a place is, and ``-inf`` where a slot is not the beam's."""
        width = slots.shape[2]
        back = (position - torch.arange(width, device=slots.device)).clamp_(min=0)
        far = self._bias.index_select(1, back)[None, :, None, :, None]
        seen = (slots[..., None] == own)[:, None]
        return far.masked_fill(~seen, -math.inf).flatten(3)


def measure_scale(model: PreTrainedModel) -> float:
    """What the decoder's last states are multiplied by before the head, asked of the model itself.

    Which of its settings decides that differs between the versions of transformers.
    """
    one = torch.zeros(1, 1, dtype=torch.long, device=model.device)
    # Not what the encoder makes of a token: there are models whose embedding of padding, or of any token, is all zeros.
    generator = torch.Generator().manual_seed(0)
    read = torch.randn(1, 1, model.config.d_model, generator=generator).to(model.device, model.dtype)
    plain = model.lm_head(model.decoder(input_ids=one, encoder_hidden_states=read)[0])
    logits = model(encoder_outputs=(read,), decoder_input_ids=one).logits
    ratio = float((logits * plain).sum() / (plain * plain).sum())
    width: int = model.config.d_model
    return min(1.0, math.pow(width, -0.5), key=lambda scale: abs(scale - ratio))


def _attend(query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    """Attention without scaling, as T5 has it.

    Args:
        query: (rows, heads, beams, head_size).
        keys: (rows, heads, head_size, length).
        values: likewise: with few queries this product is the fastest from there.
        bias: broadcast to (rows, heads, beams, length).

    Returns:
        (rows * beams, heads * head_size).
    """
    weights = torch.softmax(query.matmul(keys) + bias, -1)
    return values.matmul(weights.transpose(2, 3)).permute(0, 3, 1, 2).flatten(2).flatten(0, 1)
