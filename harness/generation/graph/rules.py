"""What outputs may look like: lengths, beams, n-grams and forced tokens, in the meaning of transformers' ``generate``.

Everything is computed on the device of the scores; which step it is comes in as a tensor, so that one captured step
serves all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import torch

from harness.generation.engine import Resolved


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The resolved generation settings as the decoder needs them; names and meanings are those of transformers.

    Lengths are in tokens and count the one that the first step reads: the decoder's start token, ``start``, or the last
    token of a causal model's prompt, where ``start`` is nothing.
    """

    beams: int
    min_length: int
    max_length: int
    length_penalty: float
    early_stopping: bool | str
    no_repeat_ngram_size: int
    eos: tuple[int, ...]
    pad: int
    start: int | None
    forced_bos: int | None
    forced_eos: int | None

    @property
    def candidates(self) -> int:
        """How many continuations of a row are looked at: enough that as many as there are beams do not end."""
        return max(2, 1 + len(self.eos)) * self.beams

    def force(self, step: int) -> int | None:
        """The token that must come in a step, counted from 0; nothing where the model decides."""
        if self.forced_eos is not None and step == self.max_length - 2:
            return self.forced_eos
        return self.forced_bos if step == 0 else None

    def apply(
        self, scores: torch.Tensor, tokens: torch.Tensor, position: torch.Tensor, width: int, before: torch.Tensor
    ) -> None:
        """Give ``-inf`` to every token that may not come next.

        Args:
            scores: (sequences, vocabulary) float32, changed in place.
            tokens: (sequences, length) int64, the sequences so far; behind ``position`` stands anything.
            position: (1,) int64, the index of the last token so far.
            width: how many leading tokens are looked at; more than ``position``.
            before: (sequences, before_len) int64, what stands before them; n-grams go on from it.
        """
        if self.no_repeat_ngram_size:
            written = torch.cat([before, tokens[:, :width]], 1)
            _forbid_repeats(scores, written, position + before.shape[1], self.no_repeat_ngram_size)
        if self.min_length > 1 and self.eos:
            gap = scores.new_zeros(1).masked_fill_(position + 1 < self.min_length, -math.inf)
            for eos in self.eos:
                scores[:, eos] += gap

    def is_eos(self, tokens: torch.Tensor) -> torch.Tensor:
        """Which tokens end a sequence; bool, in the shape of ``tokens``."""
        ends = torch.zeros_like(tokens, dtype=torch.bool)
        for eos in self.eos:
            ends |= tokens == eos
        return ends


def force_token(scores: torch.Tensor, token: int) -> None:
    """Leave one token, with score 0.

    Args:
        scores: (sequences, vocabulary) float32, changed in place.
        token: its id.
    """
    scores.fill_(-math.inf)
    scores[:, token] = 0


def read_rules(settings: Resolved) -> Rules:
    """The rules of resolved settings; those of a causal model count new tokens alone."""
    values = cast("dict[str, Any]", settings)
    eos, causal = values["eos_token_id"], "max_new_tokens" in values
    return Rules(
        beams=values["num_beams"],
        min_length=values["min_new_tokens"] + 1 if causal else values["min_length"],
        max_length=values["max_new_tokens"] + 1 if causal else values["max_length"],
        length_penalty=values["length_penalty"],
        early_stopping=values["early_stopping"],
        no_repeat_ngram_size=values["no_repeat_ngram_size"],
        eos=() if eos is None else tuple(eos) if isinstance(eos, list) else (eos,),
        pad=values["pad_token_id"],
        start=values.get("decoder_start_token_id"),
        forced_bos=values.get("forced_bos_token_id"),
        forced_eos=values.get("forced_eos_token_id"),
    )


def _forbid_repeats(scores: torch.Tensor, tokens: torch.Tensor, position: torch.Tensor, size: int) -> None:
    """Forbid each token that would close an n-gram that the sequence has already."""
    width = tokens.shape[1]
    if width < size:
        return
    windows = tokens.unfold(1, size, 1)  # (sequences, windows, size)
    last = position - size + 2 + torch.arange(size - 1, device=tokens.device)
    ending = tokens.index_select(1, last.clamp(min=0))
    repeats = (windows[..., :-1] == ending[:, None]).all(-1)
    repeats &= torch.arange(size - 1, width, device=tokens.device) <= position
    closing = windows[..., -1]
    least = torch.full_like(closing, math.inf, dtype=scores.dtype).masked_fill_(repeats, -math.inf)
    scores.scatter_reduce_(1, closing, least, "amin")
