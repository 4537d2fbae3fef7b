"""What a task has to offer so that the straight path can run it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from harness.config import EncodingSettings
    from harness.data.rows import Row

IGNORE_INDEX = -100
"""The label where no loss is taken."""

Batch = dict[str, Any]
Collator = Callable[[list[dict[str, list[int]]]], Batch]


@dataclass(frozen=True, kw_only=True)
class EncodedRow:
    """One row as token ids, unpadded.

    Args:
        id: the row's id.
        input_ids: what the encoder reads, EOS included.
        labels: what the decoder should produce, EOS included.
        input_cut: whether the input was longer than allowed.
        target_cut: whether the target was longer than allowed.
    """

    id: str
    input_ids: list[int]
    labels: list[int]
    input_cut: bool
    target_cut: bool

    def features(self) -> dict[str, list[int]]:
        """What a collator takes."""
        return {"input_ids": self.input_ids, "attention_mask": [1] * len(self.input_ids), "labels": self.labels}


class Task(Protocol):
    """What is learned: how rows become token ids, which head the model needs, how outputs are scored."""

    @property
    def name(self) -> str:
        """The task's name."""

    @property
    def prefix(self) -> str:
        """Put before each input, in training and evaluation alike."""

    @property
    def auto_class(self) -> str:
        """The class of transformers that loads a model with the head the task needs."""

    @property
    def metric(self) -> str:
        """The name of the metric family that scores the outputs."""

    def encode(
        self, rows: Sequence[Row], tokenizer: PreTrainedTokenizerBase, settings: EncodingSettings
    ) -> list[EncodedRow]:
        """Turn rows into token ids."""

    def make_collator(self, tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> Collator:
        """The function that pads encoded rows to a batch."""
