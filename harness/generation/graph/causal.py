"""The decoder of causal models: the model's own modules, over a static cache that is never reordered.

The beams of a row are handed to the model as if they were tokens of one sequence: they stand at the same position, and
a mask says which places of the row's cache each may look at. So they share the prompt's keys and values, which are
computed once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache, PreTrainedModel

from harness.generation.graph.known import require_known
from harness.generation.graph.tensors import Tensors


@dataclass(frozen=True, kw_only=True)
class PromptMemory(Tensors):
    """What the steps of one batch look at.

    Args:
        keys: a layer each, (rows, key_heads, prompt_len + places * beams, head_size): the prompt's, then those of the
            tokens behind.
        values: likewise.
        padding: (rows, 1, 1, prompt_len), 0 where a step looks, else the least number.
        lengths: (rows, 1) int64, the tokens of a prompt before its last.
    """

    keys: tuple[torch.Tensor, ...]
    values: tuple[torch.Tensor, ...]
    padding: torch.Tensor
    lengths: torch.Tensor


class CausalDecoder:
    """Decodes with a causal model, which stays as it is.

    The last token of a prompt counts as the first of the output: the first step reads it, like any other.

    Args:
        model: the model, where it should work.
        beams: sequences a row.
        places: how long an output can get, the prompt's last token counted.

    Raises:
        SettingsError: the model is none that this decoder knows.
    """

    def __init__(self, model: PreTrainedModel, *, beams: int, places: int) -> None:
        require_known(model)
        self._model, self._beams, self._places = model, beams, places
        config = model.config
        heads = config.num_attention_heads
        self._layers: int = config.num_hidden_layers
        self._key_heads = getattr(config, "num_key_value_heads", None) or heads
        self._size = getattr(config, "head_dim", None) or config.hidden_size // heads
        self._least = torch.finfo(model.dtype).min

    def start(self, sources: torch.Tensor, mask: torch.Tensor) -> PromptMemory:
        """Read the prompts.

        Args:
            sources: (rows, prompt_len) int64, padded on the left.
            mask: (rows, prompt_len) int64, 1 where a token stands.
        """
        rows, length = sources.shape
        shape = (rows, self._key_heads, length + self._places * self._beams, self._size)
        keys, values = (
            tuple(torch.zeros(shape, dtype=self._model.dtype, device=sources.device) for _ in range(self._layers))
            for _ in range(2)
        )
        place = torch.arange(length, device=sources.device)
        # Padding looks at itself: what looks at nothing would become NaN.
        seen = (mask[:, None, :].bool() & (place <= place[:, None])) | (place == place[:, None])
        positions = (mask.cumsum(1) - 1).clamp_(min=0)
        self._model.base_model(
            input_ids=sources,
            attention_mask=self._to_bias(seen)[:, None],
            position_ids=positions,
            past_key_values=_Places(keys, values, place, length),
            use_cache=True,
        )
        # The first step reads the last token again, at a place of its own.
        before = mask.bool() & (place < length - 1)
        return PromptMemory(
            keys=keys, values=values, padding=self._to_bias(before)[:, None, None], lengths=positions[:, -1:]
        )

    def step(
        self, memory: PromptMemory, tokens: torch.Tensor, slots: torch.Tensor, position: torch.Tensor, width: int
    ) -> torch.Tensor:
        """Read one token of each sequence; see `harness.generation.graph.loop.Decoder`."""
        rows, beams, _ = tokens.shape
        prompt = memory.padding.shape[-1]
        own = torch.arange(beams, device=tokens.device)
        seen = (slots[..., :width, None] == own).flatten(2)
        bias = torch.cat([memory.padding.expand(-1, -1, beams, -1), self._to_bias(seen)[:, None]], -1)
        cache = _Places(memory.keys, memory.values, prompt + position * beams + own, prompt + width * beams)
        logits: torch.Tensor = self._model(
            input_ids=tokens.index_select(2, position)[..., 0],
            attention_mask=bias,
            position_ids=(memory.lengths + position).expand(-1, beams),
            past_key_values=cache,
            use_cache=True,
        ).logits
        return logits.view(rows * beams, -1)

    def _to_bias(self, seen: torch.Tensor) -> torch.Tensor:
        """0 where something is seen, else the least number."""
        return torch.zeros(seen.shape, dtype=self._model.dtype, device=seen.device).masked_fill_(~seen, self._least)


class _Places(Cache):  # type: ignore[misc]
    """A view of a memory as the model takes it: new keys and values go to given places, the leading ones are read."""

    def __init__(
        self, keys: tuple[torch.Tensor, ...], values: tuple[torch.Tensor, ...], written: torch.Tensor, width: int
    ) -> None:
        super().__init__(layers=[])
        self._keys, self._values, self._written, self._width = keys, values, written, width

    def update(self, key: torch.Tensor, value: torch.Tensor, layer: int, *_: Any, **__: Any) -> Any:
        """Write those of the new tokens, (rows, key_heads, new, head_size), and give all that is read."""
        keys = self._keys[layer].index_copy_(2, self._written, key)
        values = self._values[layer].index_copy_(2, self._written, value)
        return keys[:, :, : self._width], values[:, :, : self._width]

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Nothing asks for it: positions and mask are given."""
        return 0
