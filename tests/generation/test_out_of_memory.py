"""What the engines do where the memory of the device runs out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from harness.errors import SettingsError
from harness.generation import ENGINES
from harness.generation.graph import t5
from harness.models.loading import LoadedModel
from tests.generation.graph.random_models import resolve
from tests.small import encode_rows


@contextmanager
def room_for(model: Any, rows: int, seen: list[int]) -> Iterator[None]:
    """Have the encoder's embedding fail as a GPU does, where more rows come than there is room for.

    In transformers 4 the decoder embeds by the same module, token by token.
    """
    embed = model.encoder.embed_tokens
    right = embed.forward

    def forward(ids: torch.Tensor) -> torch.Tensor:
        if ids.dim() > 1 and ids.shape[1] > 1:
            seen.append(len(ids))
        if len(ids) > rows:
            raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to allocate {len(ids)} GiB.")
        result: torch.Tensor = right(ids)
        return result

    embed.forward = forward
    try:
        yield
    finally:
        del embed.forward


@pytest.mark.parametrize("name", ["transformers", "graph"])
def test_outputs_survive_a_full_memory(tiny_t5: LoadedModel, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With room for 3 rows, batches of 12 are halved to 3; no row is lost or doubled, and no output changes."""
    monkeypatch.setattr(t5, "PIECE", 10_000)  # sources are read at once, as on a GPU
    engine, rows, resolved = ENGINES[name], encode_rows(tiny_t5, 12), resolve(tiny_t5.model, max_length=12)
    whole = engine.write(tiny_t5.model, rows, resolved, batch_size=12)
    seen: list[int] = []
    with room_for(tiny_t5.model, 3, seen):
        assert engine.write(tiny_t5.model, rows, resolved, batch_size=12) == whole
    sources = [count for count in seen if count > 1]
    assert sources == [12, 6, 3, 3, 3, 3]


def test_one_row_too_large_is_a_sentence(tiny_t5: LoadedModel) -> None:
    """A row that alone is too large says which settings to lower."""
    rows, resolved = encode_rows(tiny_t5, 2), resolve(tiny_t5.model, max_length=12)
    with (
        room_for(tiny_t5.model, 0, []),
        pytest.raises(SettingsError, match=r"too small for one row: CUDA out of memory.*Lower encoding"),
    ):
        ENGINES["transformers"].write(tiny_t5.model, rows, resolved, batch_size=2)
