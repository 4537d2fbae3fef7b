"""What a model really reads, whoever calls it: the id sequences that pass through its input embeddings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from harness.checks.check import CheckSkipped
from harness.checks.recorder import unwrap

Ids = tuple[int, ...]


@contextmanager
def reading(model: torch.nn.Module, padding: int | None) -> Iterator[list[Ids]]:
    """Collect the sequences that a model reads within the block, in order and without padding at their ends.

    Args:
        model: a model of transformers, PEFT-wrapped or not.
        padding: the id that fills up shorter rows.

    Raises:
        CheckSkipped: the model has no embeddings.
    """
    named: Any = unwrap(model)
    tables = [part for part in named.modules() if isinstance(part, torch.nn.Embedding)]
    if not tables:
        raise CheckSkipped("the model has no embeddings, so it is not known what it reads")
    try:
        size = named.get_input_embeddings().num_embeddings
    except (AttributeError, NotImplementedError):
        size = max(table.num_embeddings for table in tables)
    tables = [table for table in tables if table.num_embeddings == size]
    seen: list[Ids] = []

    def listen(module: torch.nn.Module, args: tuple[Any, ...]) -> None:
        if args and isinstance(args[0], torch.Tensor) and args[0].ndim == 2:  # noqa: PLR2004 - (batch, length)
            seen.extend(strip(ids, padding) for ids in args[0].tolist())

    handles = [table.register_forward_pre_hook(listen) for table in tables]  # encoder and decoder may have one each
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def strip(ids: Sequence[int], padding: int | None) -> Ids:
    """Ids without the padding at both ends."""
    first, last = 0, len(ids)
    while first < last and ids[first] == padding:
        first += 1
    while first < last and ids[last - 1] == padding:
        last -= 1
    return tuple(ids[first:last])
