"""The engine "graph": batches of rows of like length through our own decoder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from harness.generation.batched import BatchedEngine, WriteBatch
from harness.generation.engine import Resolved
from harness.generation.graph.known import require_known
from harness.generation.graph.loop import decode
from harness.generation.graph.rules import Rules, read_rules
from harness.generation.graph.search import Beams, Greedy, Search
from harness.generation.graph.t5 import T5Decoder


class GraphEngine(BatchedEngine):
    """Our own decoder: the tokens of ``generate``, in a fraction of its time."""

    def refuse(self, model: PreTrainedModel, settings: Resolved) -> None:
        """Make sure that the decoder knows the model; see `require_known`."""
        require_known(model)

    @contextmanager
    def open(self, model: PreTrainedModel, settings: Resolved, *, batch_size: int) -> Iterator[WriteBatch]:
        """Lay out the weights."""
        rules = read_rules(settings)
        decoder = T5Decoder(model, rows=batch_size, beams=rules.beams, places=rules.max_length)
        search = choose_search(rules, model.device)
        yield lambda sources: decode_batch(decoder, search, rules, sources, model.device)[:, 1:]


generate = GraphEngine()
"""The engine "graph"."""


def choose_search(rules: Rules, device: torch.device) -> Search:
    """Greedy search for one beam, beam search for more: transformers treats them apart as well."""
    return Greedy(rules) if rules.beams == 1 else Beams(rules, device)


def decode_batch(
    decoder: T5Decoder, search: Search, rules: Rules, sources: Sequence[Sequence[int]], device: torch.device
) -> torch.Tensor:
    """Generate one batch.

    Returns:
        (batch, max_length) int64, the decoder's start token first, padded with pad.
    """
    longest = max(map(len, sources))
    padded = torch.full((len(sources), longest), rules.pad)
    mask = torch.zeros_like(padded)
    for row, source in enumerate(sources):
        padded[row, : len(source)] = torch.tensor(source)
        mask[row, : len(source)] = 1
    return decode(decoder, search, rules, padded.to(device), mask.to(device))
