"""The engine "graph": batches of rows of like length through our own decoding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from transformers import PreTrainedModel

from harness.generation.batched import BatchedEngine, WriteBatch, pad_batch
from harness.generation.engine import Resolved
from harness.generation.graph.causal import CausalDecoder
from harness.generation.graph.known import refuse_settings, require_known
from harness.generation.graph.loop import Replay, Walk
from harness.generation.graph.rules import Rules, read_rules
from harness.generation.graph.search import Beams, Greedy, Search
from harness.generation.graph.t5 import T5Decoder

BUCKET = 64
"""On a GPU sources are padded to a multiple of so many tokens: batches of one shape share what was captured."""


class GraphEngine(BatchedEngine):
    """Our own decoding: the tokens of ``generate``, in a fraction of its time."""

    def refuse(self, model: PreTrainedModel, settings: Resolved) -> None:
        """Make sure that the decoders know the model and the settings; see `require_known`."""
        require_known(model)
        refuse_settings(model, settings)

    @contextmanager
    def open(self, model: PreTrainedModel, settings: Resolved, *, batch_size: int) -> Iterator[WriteBatch]:
        """Lay out the weights."""
        rules, device = read_rules(settings), model.device
        causal = not model.config.is_encoder_decoder
        sizes = {"beams": rules.beams, "places": rules.max_length}
        decoder = CausalDecoder(model, **sizes) if causal else T5Decoder(model, rows=batch_size, **sizes)
        on_gpu = device.type == "cuda"
        way = (Replay if on_gpu else Walk)(decoder, choose_search(rules, device), rules)

        def write(sources: Sequence[Sequence[int]]) -> torch.Tensor:
            padded, mask = pad_batch(sources, rules.pad, left=causal, multiple=BUCKET if on_gpu else 1)
            return way.decode(padded.to(device), mask.to(device))[:, 1:]

        yield write


generate = GraphEngine()
"""The engine "graph"."""


def choose_search(rules: Rules, device: torch.device) -> Search:
    """Greedy search for one beam, beam search for more: transformers treats them apart as well."""
    return Greedy(rules) if rules.beams == 1 else Beams(rules, device)
