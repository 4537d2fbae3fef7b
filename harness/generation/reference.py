"""The reference that engines are measured against: ``generate`` of transformers, batch after batch in row order."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.device import at_work
from harness.generation.engine import Resolved
from harness.generation.transformers_engine import generate_batch, to_generation_config
from harness.tasks.task import EncodedRow


def generate_in_row_order(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[EncodedRow],
    settings: Resolved,
    *,
    batch_size: int,
    batch_tokens: int | None = None,
) -> list[str]:
    """Generate as one would by hand: nothing is sorted, each batch is padded to its longest row."""
    config = to_generation_config(settings)
    outputs: list[str] = []
    with at_work(model):
        for start in range(0, len(rows), batch_size):
            sources = [row.input_ids for row in rows[start : start + batch_size]]
            tokens = generate_batch(model, sources, config)
            outputs += [text.strip() for text in tokenizer.batch_decode(tokens, skip_special_tokens=True)]
    return outputs
