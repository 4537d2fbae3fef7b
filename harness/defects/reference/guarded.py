"""The encoder-decoder pipeline with a guard that drops rows without any label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.defects.reference import loop, seq2seq


def drop_unlabelled(features: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The features that have something to learn."""
    return [feature for feature in features if any(label != loop.IGNORE_INDEX for label in feature["labels"])]


PIPELINE = replace(seq2seq.PIPELINE, name="guarded", filter_features=drop_unlabelled)
