"""What engines share: rows of like length in batches, halved where memory runs out, and tokens turned into texts."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.device import at_work
from harness.errors import SettingsError
from harness.generation.batching import sorted_batches, work_through
from harness.generation.engine import Resolved
from harness.tasks.task import EncodedRow

WriteBatch = Callable[[Sequence[Sequence[int]]], torch.Tensor]
"""From the token ids of each row, unpadded, to the new tokens, (batch, output_len) int64, padded behind EOS."""


class BatchedEngine(ABC):
    """An engine that generates batch after batch."""

    @property
    def exact(self) -> bool:
        """Whether it computes with the model's own weights in their own precision."""
        return True

    @abstractmethod
    def open(
        self, model: PreTrainedModel, settings: Resolved, *, batch_size: int
    ) -> AbstractContextManager[WriteBatch]:
        """Get ready to generate with a model that is where it should work, in inference mode."""

    def refuse(self, model: PreTrainedModel, settings: Resolved) -> None:  # noqa: B027 - most refuse nothing
        """Make sure that this engine can be used; see `harness.generation.engine.Engine`."""

    def __call__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: Sequence[EncodedRow],
        settings: Resolved,
        *,
        batch_size: int,
        batch_tokens: int | None = None,
    ) -> list[str]:
        """Generate the output of each row, in row order.

        Args:
            model: works on the GPU where there is one, and comes back to where it was.
            tokenizer: decodes the outputs.
            rows: encoded rows, unpadded.
            settings: resolved settings, see `resolve_settings`.
            batch_size: rows in a batch, at most; fewer where memory runs out.
            batch_tokens: tokens of the sources in a batch, at most, padding counted.

        Raises:
            SettingsError: the engine cannot work with this model, or one row alone is too large for the memory.
        """
        written = self.write(model, rows, settings, batch_size=batch_size, batch_tokens=batch_tokens)
        return [text.strip() for text in tokenizer.batch_decode(written, skip_special_tokens=True)]

    def write(
        self,
        model: PreTrainedModel,
        rows: Sequence[EncodedRow],
        settings: Resolved,
        *,
        batch_size: int,
        batch_tokens: int | None = None,
    ) -> list[list[int]]:
        """The new tokens of each row up to its first EOS, that included, in row order."""
        self.refuse(model, settings)
        batches = sorted_batches([len(row.input_ids) for row in rows], batch_size, batch_tokens)
        written: list[list[int]] = [[] for _ in rows]
        with (
            at_work(model),
            self.open(model, settings, batch_size=batch_size) as write,
            tqdm(desc="generating", unit="row", total=len(rows), disable=not sys.stderr.isatty(), leave=False) as bar,
        ):
            parts = work_through(
                batches,
                lambda batch: trim(write([rows[index].input_ids for index in batch]), settings),
                too_large=_ran_out_of_memory,
            )
            try:
                for batch, tokens in parts:
                    for index, own in zip(batch, tokens, strict=True):
                        written[index] = own
                    bar.update(len(batch))
            except (RuntimeError, MemoryError) as error:
                if not _ran_out_of_memory(error):
                    raise
                raise SettingsError(
                    f"The memory of the device is too small for one row: {str(error).splitlines()[0]}",
                    fix="Lower encoding.max_input_tokens, generation.num_beams or generation.max_length.",
                ) from error
        return written


def pad_batch(
    sources: Sequence[Sequence[int]], pad: int, *, left: bool, multiple: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """The sources as one tensor, and its mask.

    Args:
        sources: token ids of each row.
        pad: fills what is missing.
        left: on which side: a causal model writes on where its prompt ends, an encoder reads padding on the right.
        multiple: the length is rounded up to one of it.

    Returns:
        The tokens and 1 where one stands, each (rows, length) int64.
    """
    length = -(-max(map(len, sources)) // multiple) * multiple
    padded = torch.full((len(sources), length), pad)
    mask = torch.zeros_like(padded)
    for row, source in enumerate(sources):
        place = slice(length - len(source), length) if left else slice(len(source))
        padded[row, place] = torch.tensor(source)
        mask[row, place] = 1
    return padded, mask


def trim(tokens: torch.Tensor, settings: Resolved) -> list[list[int]]:
    """Each row's tokens up to its first EOS, that included, or without the padding behind where it has none."""
    values = cast("dict[str, Any]", settings)
    ends, pad = values["eos_token_id"], values["pad_token_id"]
    ends = {ends} if isinstance(ends, int) else set(ends or ())
    trimmed = []
    for row in tokens.tolist():
        length = next((place + 1 for place, token in enumerate(row) if token in ends), None)
        if length is None:
            length = max((place + 1 for place, token in enumerate(row) if token != pad), default=0)
        trimmed.append(row[:length])
    return trimmed


def _ran_out_of_memory(error: Exception) -> bool:
    """Whether there was not enough memory; on a CPU torch has no type of its own for that."""
    if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "can't allocate memory" not in str(error):
        return False
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return True
