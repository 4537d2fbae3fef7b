"""Generation speed, measured so that it can be trusted: the device is synchronised inside the timed region."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.device import synchronise
from harness.generation.transformers_engine import generate_batch

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedModel


def generate_and_wait(model: PreTrainedModel, sources: Sequence[Sequence[int]], config: GenerationConfig) -> int:
    """Generate one batch and wait for the device; time this whole call.

    Args:
        model: an encoder-decoder in eval mode, where it should run.
        sources: token ids of each row, unpadded.
        config: the resolved generation settings.

    Returns:
        How many tokens were generated: the start token and padding are not counted, EOS is.
    """
    synchronise(model.device)
    output = generate_batch(model, sources, config)
    synchronise(model.device)
    return int((output[:, 1:] != config.pad_token_id).sum())


def speed_facts(*, tokens: int, rows: int, seconds: float, device: str) -> dict[str, float | int | str]:
    """What a benchmark stores beside its times.

    Args:
        tokens: tokens generated in one round.
        rows: rows generated in one round.
        seconds: median time of a round.
        device: the device's name.
    """
    return {
        "device": device,
        "rows": rows,
        "tokens": tokens,
        "tokens_per_second": round(tokens / seconds, 1),
        "ms_per_token": round(1000 * seconds / tokens, 4),
        "rows_per_second": round(rows / seconds, 2),
    }
