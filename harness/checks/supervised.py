"""The tokens that the loss sees, for pipelines whose labels are text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.checks.check import CheckSkipped
from harness.checks.evidence import Evidence, Row
from harness.checks.overlap import split_words
from harness.checks.prompt_ids import IGNORE_INDEX

LOOKED_AT = 64
"""Rows whose labels are read."""


@dataclass(frozen=True, kw_only=True)
class Supervised:
    """One row and its supervised tokens.

    Args:
        row: the user's row.
        target: its target.
        ids: the supervised token ids, in their order.
        input_ids: what the model reads.
        causal: whether the labels are a masked copy of what the model reads.
        text: the supervised tokens as text.
    """

    row: Row
    target: str
    ids: list[int]
    input_ids: list[int]
    causal: bool
    text: str


def supervised_rows(evidence: Evidence, rows: Sequence[Row] | None = None) -> list[Supervised]:
    """The supervised tokens of rows, those of the training split by default.

    Raises:
        CheckSkipped: the labels are no text, or rows become several features.
    """
    rows = evidence.rows(LOOKED_AT) if rows is None else list(rows)
    features = evidence.features(rows)
    decode = evidence.part("tokenizer").decode
    if len(features) != len(rows):
        raise CheckSkipped("rows and features are not one to one")
    found = []
    for row, feature in zip(rows, features, strict=True):
        labels, target, read = feature.get("labels"), evidence.column(row, "target"), list(feature["input_ids"])
        if not isinstance(labels, list) or not isinstance(target, str):
            raise CheckSkipped("the labels are no text")
        ids = [label for label in labels if label != IGNORE_INDEX]
        copied = len(labels) == len(read) and all(
            label in {IGNORE_INDEX, token} for label, token in zip(labels, read, strict=True)
        )
        text = decode(ids, skip_special_tokens=True)
        found.append(Supervised(row=row, target=target, ids=ids, input_ids=read, causal=copied, text=text))
    shared = [bool(set(split_words(entry.text)) & set(split_words(entry.target))) for entry in found]
    if not any(shared) and any(entry.ids for entry in found):
        raise CheckSkipped("the labels are no text")
    return found


def letters(text: str) -> str:
    """A text without case, spacing and punctuation."""
    return "".join(split_words(text))
