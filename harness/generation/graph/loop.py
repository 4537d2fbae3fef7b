"""The loop over the steps: eager on the CPU, replayed from CUDA graphs on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from harness.generation.graph.capture import Watch, capture, rehearse
from harness.generation.graph.rules import Rules
from harness.generation.graph.search import Search, State
from harness.generation.graph.tensors import Tensors

LOOK = 8
"""A GPU is asked every so many steps whether all rows are done; the answer is read when it has come."""
BLOCK = 32
"""A captured step looks at a multiple of so many places."""
LEAVE = 0.75
"""Rows that are done leave the batch when no more than this share of it goes on."""


class Decoder(Protocol):
    """What a model is to the search."""

    def start(self, sources: torch.Tensor, mask: torch.Tensor) -> Any:
        """Read the sources of a batch, and give its memory, a `Tensors`.

        Args:
            sources: (rows, source_len) int64, padded.
            mask: (rows, source_len) int64, 1 where a token stands.
        """

    def step(
        self, memory: Any, tokens: torch.Tensor, slots: torch.Tensor, position: torch.Tensor, width: int
    ) -> torch.Tensor:
        """Read one token of each sequence.

        Args:
            memory: of this batch; the token's keys and values are written into it.
            tokens: (rows, beams, places) int64, the sequences.
            slots: (rows, beams, places) int64, which beam's place holds each token; -1 where there is none yet.
            position: (1,) int64, the index of the token to read.
            width: how many leading places are looked at; more than ``position``.

        Returns:
            (rows * beams, vocabulary), the logits of the next token.
        """


@dataclass
class Walk:
    """Step by step; rows that are done leave the batch."""

    decoder: Decoder
    search: Search
    rules: Rules

    def decode(self, sources: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Generate the outputs of a batch.

        Args:
            sources: (rows, source_len) int64, padded.
            mask: (rows, source_len) int64, 1 where a token stands.

        Returns:
            (rows, max_length) int64, padded; the first token is the one that the first step read.
        """
        start = self.rules.start
        before = sources if start is None else torch.full_like(sources[:, :1], start)
        return self.finish(self.decoder.start(sources, mask), self.search.begin(before))

    def take_step(self, memory: Tensors, state: State, *, width: int, step: int | None) -> State:
        """Read the last tokens, and choose the next; ``step`` is its number where a token may be forced in it."""
        logits = self.decoder.step(memory, state.tokens, state.slots, state.position, width)
        following: State = self.search.advance(state, logits, width, None if step is None else self.rules.force(step))
        return following

    def finish(self, memory: Tensors, state: State) -> torch.Tensor:
        """Take all steps."""
        outputs = torch.empty_like(state.tokens[:, 0])
        numbers = torch.arange(len(outputs), device=outputs.device)  # the row of the batch of each row of the state
        for step in range(self.rules.max_length - 1):
            state = self.take_step(memory, state, width=step + 1, step=step)
            going = ~self.search.done(state)
            count = int(going.sum())
            if not count:
                break
            if count <= LEAVE * len(numbers):
                outputs[numbers] = self.search.outputs(state)
                kept = going.nonzero()[:, 0]
                state, memory, numbers = state.select(kept), memory.select(kept), numbers[kept]
        outputs[numbers] = self.search.outputs(state)
        return outputs


@dataclass
class Captured:
    """Memory and state of a batch, and the steps that were captured over them, by width."""

    memory: Tensors
    state: State
    steps: dict[int, Callable[[], None]] = field(default_factory=dict)


@dataclass
class Replay(Walk):
    """Steps in the same memory, replayed; the first and the last as they are, since tokens may be forced there.

    A batch of the shape of the one before is copied into its memory, so that what was captured serves it, too. Batches
    come sorted by length, so one is kept.
    """

    _kept: Captured | None = None
    _shape: torch.Size | None = None

    def decode(self, sources: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Generate the outputs of a batch; see `Walk.decode`. What a batch of another shape held is freed first."""
        if sources.shape != self._shape:
            self._kept, self._shape = None, sources.shape
        return super().decode(sources, mask)

    def finish(self, memory: Tensors, state: State) -> torch.Tensor:
        """Take all steps, or stop soon after all rows are done."""
        last = self.rules.max_length - 2
        state = self.take_step(memory, state, width=min(BLOCK, last + 1), step=0)
        kept = self._keep(memory, state)
        watch = Watch(state.tokens.device)
        for step in range(1, last + 1):
            if step == last and self.rules.force(last) is not None:
                return self.search.outputs(self.take_step(kept.memory, kept.state, width=last + 1, step=last))
            width = min((step // BLOCK + 1) * BLOCK, last + 1)
            if width not in kept.steps:
                kept.steps[width] = self._capture(kept, width)
            kept.steps[width]()
            if step % LOOK == 0 and watch.says_done(self.search.done(kept.state)):
                break
        return self.search.outputs(kept.state).clone()

    def _keep(self, memory: Tensors, state: State) -> Captured:
        if self._kept is None:
            self._kept = Captured(memory, state)
        else:
            self._kept.memory.assign(memory)
            self._kept.state.assign(state)
        return self._kept

    def _capture(self, kept: Captured, width: int) -> Callable[[], None]:
        memory, state = kept.memory, kept.state
        device = state.tokens.device
        rehearse(lambda: self.take_step(memory, state, width=width, step=None), device)
        return capture(lambda: state.assign(self.take_step(memory, state, width=width, step=None)), device)
