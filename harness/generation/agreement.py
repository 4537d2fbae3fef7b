"""Whether an engine writes what the reference writes, row by row; ties between two outputs are counted apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from transformers import PreTrainedModel

from harness.device import at_work
from harness.generation.engine import Resolved
from harness.tasks.task import EncodedRow

TIE = 1e-4
"""Two outputs whose scores differ by no more than this are a tie: rounding decides between them."""


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How the outputs of two engines compare.

    Args:
        rows: how many were compared.
        equal: how many have the same tokens.
        tied: of how many the tokens differ where the model itself is undecided.
        different: the ids of the others.
    """

    rows: int
    equal: int
    tied: int
    different: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether at least one row was compared and none is different."""
        return self.rows > 0 and not self.different

    def __str__(self) -> str:
        return (
            f"{self.equal} of {self.rows} rows equal, {self.tied} tied within {TIE:g}, {len(self.different)} different"
        )


def compare_outputs(
    model: PreTrainedModel,
    rows: Sequence[EncodedRow],
    settings: Resolved,
    ours: Sequence[Sequence[int]],
    theirs: Sequence[Sequence[int]],
) -> Agreement:
    """Compare the tokens that two engines wrote with one model.

    Args:
        model: judges ties by its own log-probabilities.
        rows: what was read.
        settings: the resolved settings of both.
        ours: new tokens of each row, EOS included.
        theirs: likewise.
    """
    equal = tied = 0
    different = []
    with at_work(model):
        for row, one, other in zip(rows, ours, theirs, strict=True):
            if list(one) == list(other):
                equal += 1
            elif measure_gap(model, row.input_ids, one, other, settings) <= TIE:
                tied += 1
            else:
                different.append(row.id)
    return Agreement(rows=len(rows), equal=equal, tied=tied, different=tuple(different))


def measure_gap(
    model: PreTrainedModel, source: Sequence[int], one: Sequence[int], other: Sequence[int], settings: Resolved
) -> float:
    """How far apart the model holds two outputs that differ, in nats.

    Of a greedy search it is the gap between the first two tokens that differ, since all that follows rests on them; of
    a beam search that between the scores of the whole outputs, by length penalty.
    """
    values = cast("dict[str, Any]", settings)
    first, second = (measure_tokens(model, source, tokens, settings) for tokens in (one, other))
    if values["num_beams"] > 1:
        penalty: float = values["length_penalty"]
        ours, theirs = (float(each.sum()) / math.pow(max(1, len(each)), penalty) for each in (first, second))
        return abs(ours - theirs)
    place = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    return float("inf") if place is None else abs(float(first[place] - second[place]))


def measure_tokens(
    model: PreTrainedModel, source: Sequence[int], tokens: Sequence[int], settings: Resolved
) -> torch.Tensor:
    """The log-probability of each token of an output, (length,) float32, in nats."""
    read, written = (torch.tensor([list(ids)], device=model.device, dtype=torch.long) for ids in (source, tokens))
    if model.config.is_encoder_decoder:
        start = written.new_full((1, 1), cast("int", settings["decoder_start_token_id"]))
        asked = {"input_ids": read, "decoder_input_ids": torch.cat([start, written[:, :-1]], 1)}
        logits = model(**asked, attention_mask=torch.ones_like(read)).logits
    else:
        logits = model(input_ids=torch.cat([read, written], 1)).logits[:, read.shape[1] - 1 : -1]
    logprobs: torch.Tensor = logits[0].float().log_softmax(-1).gather(-1, written[0][:, None])[:, 0]
    return logprobs
