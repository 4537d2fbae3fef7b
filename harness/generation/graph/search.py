"""Which tokens come next: greedy search and beam search, wholly on the device, in the meaning of transformers.

A state is a few tensors; ``advance`` makes the next one of it and the logits. Rows do not know of each other: one that
is done never changes again, so it may leave the batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch

from harness.generation.graph.rules import Rules, force_token
from harness.generation.graph.tensors import Tensors

CHUNK = 128
"""Scores are searched for their best by the best of chunks of so many."""
NEVER = -1e9
"""The score of what must not be chosen; transformers' own number, as it decides between two such."""


@dataclass(frozen=True, kw_only=True)
class State(Tensors):
    """Where a search is.

    Args:
        position: (1,) int64, the index of the last token.
        tokens: (rows, beams, max_length) int64, the sequences so far; behind ``position`` stands pad.
        slots: (rows, beams, max_length) int64, which beam's place in the cache holds each token; -1 behind.
        before: (rows, before_len) int64, what stands before the sequences: a prompt without its last token.
    """

    SHARED: ClassVar[frozenset[str]] = frozenset({"position"})
    position: torch.Tensor
    tokens: torch.Tensor
    slots: torch.Tensor
    before: torch.Tensor

    def follow(self, parents: torch.Tensor, tokens: torch.Tensor) -> dict[str, torch.Tensor]:
        """What every state holds, one token later.

        Args:
            parents: (rows, beams) int64, the beam that each goes on from.
            tokens: (rows, beams) int64, its next token.
        """
        place = self.position + 1
        own = torch.arange(parents.shape[1], device=parents.device).expand_as(parents)
        return {
            "position": place,
            "tokens": take(self.tokens, parents).index_copy_(2, place, tokens[..., None]),
            "slots": take(self.slots, parents).index_copy_(2, place, own[..., None]),
            "before": self.before,
        }


class Search(Protocol):
    """A way to choose tokens; its states are of a kind of its own."""

    def begin(self, before: torch.Tensor) -> Any:
        """The state before the first step.

        Args:
            before: (rows, length) int64, what comes before the output; its last token is the first that is read.
        """

    def advance(self, state: Any, logits: torch.Tensor, width: int, forced: int | None) -> Any:
        """The state one token later; ``logits`` is (rows * beams, vocabulary), in any precision."""

    def done(self, state: Any) -> torch.Tensor:
        """Which rows will never change again, (rows,) bool."""

    def outputs(self, state: Any) -> torch.Tensor:
        """The best sequence of each row, (rows, max_length) int64, padded."""


@dataclass(frozen=True, kw_only=True)
class GreedyState(State):
    """Where a greedy search is.

    Args:
        ended: (rows, 1) bool, whether the sequence has its EOS.
    """

    ended: torch.Tensor


@dataclass(frozen=True)
class Greedy:
    """Always the likeliest token."""

    rules: Rules

    def begin(self, before: torch.Tensor) -> GreedyState:
        """The last token before the output."""
        ended = torch.zeros_like(before[:, :1], dtype=torch.bool)
        return GreedyState(**_begin(self.rules, before), ended=ended)

    def advance(self, state: GreedyState, logits: torch.Tensor, width: int, forced: int | None) -> GreedyState:
        """Add the likeliest token to each sequence, or pad where it has ended."""
        scores = logits.float()
        constrain(scores, self.rules, state, width, forced)
        likeliest = scores.argmax(-1, keepdim=True).masked_fill(state.ended, self.rules.pad)
        ended = state.ended | self.rules.is_eos(likeliest)
        return GreedyState(**state.follow(torch.zeros_like(likeliest), likeliest), ended=ended)

    def done(self, state: GreedyState) -> torch.Tensor:
        """The rows that have their EOS."""
        return state.ended[:, 0]

    def outputs(self, state: GreedyState) -> torch.Tensor:
        """The sequences."""
        return state.tokens[:, 0]


@dataclass(frozen=True, kw_only=True)
class BeamState(State):
    """Where a beam search is.

    Args:
        scores: (rows, beams) float32, the log-probability of each sequence that goes on.
        ended: (rows, beams, max_length) int64, the best sequences that have ended.
        ended_scores: (rows, beams) float32, theirs, by length penalty; falling.
        is_ended: (rows, beams) bool, which places of ``ended`` are taken.
        open: (rows, 1) bool, whether a better one may still come.
    """

    scores: torch.Tensor
    ended: torch.Tensor
    ended_scores: torch.Tensor
    is_ended: torch.Tensor
    open: torch.Tensor


class Beams:
    """Beam search as transformers has it, in all three forms of early stopping.

    Source: ``GenerationMixin._beam_search`` of transformers 5.
    """

    def __init__(self, rules: Rules, device: torch.device) -> None:
        self.rules = rules
        # Divisors of scores, by the number of tokens behind the start token.
        lengths = range(rules.max_length + 1)
        powers = [float(length) ** rules.length_penalty if length else 1.0 for length in lengths]
        self._powers = torch.tensor(powers, device=device)

    def begin(self, before: torch.Tensor) -> BeamState:
        """All beams hold the same token, and only the first counts: the others would say the same."""
        common = _begin(self.rules, before)
        tokens, first = common["tokens"], common["position"]
        scores = torch.full(tokens.shape[:2], NEVER, device=tokens.device)
        return BeamState(
            **common,
            scores=scores.index_fill(1, first, 0.0),
            ended=tokens.clone(),
            ended_scores=scores,
            is_ended=torch.zeros_like(scores, dtype=torch.bool),
            open=torch.ones_like(scores[:, :1], dtype=torch.bool),
        )

    def advance(self, state: BeamState, logits: torch.Tensor, width: int, forced: int | None) -> BeamState:
        """Of all continuations of a row keep the best that go on and the best that have ended."""
        rules, (rows, beams) = self.rules, state.scores.shape
        scores = torch.log_softmax(logits.float(), -1)
        constrain(scores, rules, state, width, forced)
        found, parents, tokens = best_continuations(scores.view(rows, beams, -1), state.scores, rules.candidates)
        full = state.position + 2 >= rules.max_length
        ends = rules.is_eos(tokens) | full
        alive, order = (found + ends * NEVER).topk(beams)
        going = state.follow(take(parents, order), take(tokens, order))
        power = self._powers[state.position + 1]
        closed = ~state.open
        if rules.early_stopping is True:
            closed = closed | state.is_ended.all(-1, keepdim=True)
        # Only the best as many as there are beams may end; the others are there to go on in their place.
        new = ends[:, :beams]
        new_scores = found[:, :beams] / power + (closed | ~new) * NEVER
        grown = take(state.tokens, parents[:, :beams]).index_copy_(2, state.position + 1, tokens[:, :beams, None])
        ended_scores, order = torch.cat([state.ended_scores, new_scores], 1).topk(beams)
        is_ended = take(torch.cat([state.is_ended, new], 1), order)
        worst = ended_scores[:, -1:].masked_fill(~is_ended, NEVER)
        optimistic = rules.early_stopping == "never" and rules.length_penalty > 0
        reachable = alive[:, :1] / (self._powers[rules.max_length - 1] if optimistic else power)
        return BeamState(
            **going,
            scores=alive,
            ended=take(torch.cat([state.ended, grown], 1), order),
            ended_scores=ended_scores,
            is_ended=is_ended,
            open=state.open & (reachable > worst).any(-1, keepdim=True),
        )

    def done(self, state: BeamState) -> torch.Tensor:
        """The rows in which nothing better can come, or in which as many as there are beams have ended."""
        closed = ~state.open[:, 0]
        return closed | state.is_ended.all(-1) if self.rules.early_stopping is True else closed

    def outputs(self, state: BeamState) -> torch.Tensor:
        """The best sequence of each row that has ended."""
        return state.ended[:, 0]


def constrain(scores: torch.Tensor, rules: Rules, state: State, width: int, forced: int | None) -> None:
    """Apply the rules to the scores of one step, in place."""
    if forced is not None:
        force_token(scores, forced)
    else:
        before = state.before.repeat_interleave(rules.beams, 0)
        rules.apply(scores, state.tokens.flatten(0, 1), state.position, width, before)


def best_continuations(
    scores: torch.Tensor, before: torch.Tensor, count: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The best continuations of each row, best first.

    The best elements lie in the chunks that have the best maxima, so only those are sorted.

    Args:
        scores: (rows, beams, vocabulary) float32, the log-probability of each next token.
        before: (rows, beams) float32, that of each sequence so far.
        count: how many.

    Returns:
        Their scores (rows, count) float32, the beams they go on from and their tokens, (rows, count) int64.
    """
    vocabulary = scores.shape[2]
    padded = torch.nn.functional.pad(scores, (0, -vocabulary % CHUNK), value=-torch.inf)
    a_beam = padded.shape[2] // CHUNK
    chunks = padded.view(*before.shape, a_beam, CHUNK)
    highest = (chunks.amax(-1) + before[..., None]).flatten(1)
    where = highest.topk(min(count, highest.shape[1])).indices  # (rows, chosen chunks)
    parent = where // a_beam
    inside = chunks.flatten(1, 2).gather(1, where[..., None].expand(-1, -1, CHUNK)) + take(before, parent)[..., None]
    found, index = inside.flatten(1).topk(count)
    chosen = index // CHUNK
    token = (take(where, chosen) % a_beam) * CHUNK + index % CHUNK
    # What is chosen only because nothing else is left may be padding; it never matters, but must be a token.
    return found, take(parent, chosen), token.clamp_(max=vocabulary - 1)


def take(tensor: torch.Tensor, beams: torch.Tensor) -> torch.Tensor:
    """The entries of ``tensor``, (rows, beams, ...), at ``beams``, (rows, chosen) int64."""
    if tensor.dim() == beams.dim():
        return tensor.gather(1, beams)
    return tensor.gather(1, beams[..., None].expand(*beams.shape, tensor.shape[2]))


def _begin(rules: Rules, before: torch.Tensor) -> dict[str, torch.Tensor]:
    tokens = before.new_full((len(before), rules.beams, rules.max_length), rules.pad)
    slots = torch.full_like(tokens, -1)
    tokens[..., 0] = before[:, -1:]
    slots[..., 0] = torch.arange(rules.beams, device=before.device)
    return {"position": before.new_zeros(1), "tokens": tokens, "slots": slots, "before": before[:, :-1]}
