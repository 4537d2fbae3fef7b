"""The loop over the steps: eager on the CPU, replayed from CUDA graphs on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from harness.generation.graph.capture import Watch, capture, rehearse
from harness.generation.graph.rules import Rules
from harness.generation.graph.search import Search, State
from harness.generation.graph.t5 import Memory, T5Decoder

LOOK = 8
"""A GPU is asked every so many steps whether all rows are done; the answer is read when it has come."""
BLOCK = 32
"""A captured step looks at a multiple of so many places."""
LEAVE = 0.75
"""Rows that are done leave the batch when no more than this share of it goes on."""


def decode(decoder: T5Decoder, search: Search, rules: Rules, sources: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Generate the outputs of a batch.

    Args:
        decoder: reads the sources and the tokens.
        search: chooses the tokens.
        rules: what outputs may look like.
        sources: (rows, source_len) int64, padded.
        mask: (rows, source_len) int64, 1 where a token stands.

    Returns:
        (rows, max_length) int64, the start token first, padded.
    """
    memory = decoder.start(sources, mask)
    state = search.begin(len(sources), sources.device)
    return (replay if sources.is_cuda else walk)(decoder, search, rules, memory, state)


def take_step(
    decoder: T5Decoder, search: Search, memory: Memory, state: State, *, width: int, forced: int | None
) -> State:
    """Read the last tokens, and choose the next."""
    logits = decoder.step(memory, state.tokens, state.slots, state.position, width)
    following: State = search.advance(state, logits, width, forced)
    return following


def walk(decoder: T5Decoder, search: Search, rules: Rules, memory: Memory, state: State) -> torch.Tensor:
    """Step by step; rows that are done leave the batch."""
    outputs = torch.empty_like(state.tokens[:, 0])
    numbers = torch.arange(len(outputs), device=outputs.device)  # which row of the batch each row of the state is
    for step in range(rules.max_length - 1):
        state = take_step(decoder, search, memory, state, width=step + 1, forced=rules.force(step))
        going = ~search.done(state)
        count = int(going.sum())
        if not count:
            break
        if count <= LEAVE * len(numbers):
            outputs[numbers] = search.outputs(state)
            kept = going.nonzero()[:, 0]
            state, memory, numbers = state.select(kept), memory.select(kept), numbers[kept]
    outputs[numbers] = search.outputs(state)
    return outputs


def replay(decoder: T5Decoder, search: Search, rules: Rules, memory: Memory, state: State) -> torch.Tensor:
    """Steps in the same memory, replayed; the first and the last as they are, since tokens may be forced there."""
    device, last = state.tokens.device, rules.max_length - 2
    watch = Watch(device)

    def take(width: int, forced: int | None = None) -> State:
        return take_step(decoder, search, memory, state, width=width, forced=forced)

    state = take(min(BLOCK, last + 1), rules.force(0))
    for step in range(1, last + 1):
        if step == last and rules.force(last) is not None:
            state = take(last + 1, rules.force(last))
            break
        if step == 1 or step % BLOCK == 0:
            width = min((step // BLOCK + 1) * BLOCK, last + 1)
            rehearse(partial(take, width), device)
            again = capture(partial(_take_in_place, take, state, width), device)
        again()
        if step % LOOK == 0 and watch.says_done(search.done(state)):
            break
    return search.outputs(state)


def _take_in_place(take: Callable[[int], State], state: State, width: int) -> None:
    state.assign(take(width))
