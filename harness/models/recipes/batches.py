"""What the recipes share when they make batches: sentences of a document, and rows padded to one length."""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
from torch.nn.utils.rnn import pad_sequence

IGNORE_INDEX = -100
"""The label of a token that no loss is taken of."""


def pad_ids(rows: Sequence[Sequence[int]], *, pad: int) -> dict[str, torch.Tensor]:
    """Pad rows of token ids on the right.

    Returns:
        ``input_ids`` and ``attention_mask`` (batch, longest row) int64.
    """
    input_ids = pad_right(rows, pad)
    lengths = torch.tensor([len(row) for row in rows])
    return {
        "input_ids": input_ids,
        "attention_mask": (torch.arange(input_ids.shape[1]) < lengths[:, None]).long(),
    }


def pad_labels(rows: Sequence[Sequence[int]]) -> torch.Tensor:
    """Pad rows of labels on the right: (batch, longest row) int64, -100 where no loss is taken."""
    return pad_right(rows, IGNORE_INDEX)


def pad_right(rows: Sequence[Sequence[int]], value: int) -> torch.Tensor:
    """Pad rows of numbers with ``value``: (batch, longest row) int64."""
    return pad_sequence([torch.tensor(row) for row in rows], batch_first=True, padding_value=value)


def split_sentences(document: str) -> list[str]:
    """The document's sentences, without the full stops between them."""
    return re.split(r"\. |\n", document)
