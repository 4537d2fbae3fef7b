"""How fast an engine is beside plain ``generate``, measured in one session and in turns: ratios only."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.generation.engine import Generate, Resolved

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from harness.tasks.task import EncodedRow

ROUNDS = 5
"""All five below the bar by chance, where the true ratio is at it: 1 in 32."""
BATCHES = 4
"""Rows are taken for so many batches; what an engine gains by sorting shows with several only."""


@dataclass(frozen=True, kw_only=True)
class SpeedRatio:
    """An engine's speed as a share of the reference's.

    Args:
        ratios: seconds of the reference over seconds of the engine, for each round.
        rows: how many rows were generated in each round, by both.
    """

    ratios: tuple[float, ...]
    rows: int

    @property
    def median(self) -> float:
        """The middle of the rounds."""
        return statistics.median(self.ratios)


def measure_speed(
    engine: Generate,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[EncodedRow],
    settings: Resolved,
    *,
    batch_size: int,
    rounds: int = ROUNDS,
) -> SpeedRatio:
    """Time the engine and plain ``generate`` on the same rows, in turns, and each first every other time.

    Args:
        engine: what is timed.
        model: its model.
        tokenizer: decodes the outputs.
        rows: encoded rows; the first few batches of them are used.
        settings: resolved settings, the same for both.
        batch_size: rows in a batch, the same for both.
        rounds: how often both are timed.
    """
    from harness.generation.reference import generate_in_row_order  # noqa: PLC0415 - torch loads late

    chosen = rows[: BATCHES * batch_size]

    def seconds(generate: Generate) -> float:
        began = time.perf_counter()
        generate(model, tokenizer, chosen, settings, batch_size=batch_size)
        return time.perf_counter() - began

    for generate in (engine, generate_in_row_order):
        generate(model, tokenizer, chosen[:batch_size], settings, batch_size=batch_size)
    ratios = []
    for number in range(rounds):
        pair = (engine, generate_in_row_order)
        taken = {generate: seconds(generate) for generate in (pair if number % 2 else pair[::-1])}
        ratios.append(taken[generate_in_row_order] / taken[engine])
    return SpeedRatio(ratios=tuple(ratios), rows=len(chosen))
