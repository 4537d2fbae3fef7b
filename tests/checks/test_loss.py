"""The checks of the loss on honest losses of several kinds, and on faults that no catalogue has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from harness.checks.loss import expected_loss
from harness.checks.pipeline import Pipeline
from harness.checks.supervision import Taught
from harness.defects.reference import REFERENCES, causal, seq2seq
from harness.defects.reference.rows import Row
from tests.checks.planted import audit_with, checks_of, complaints, failures

CHECKS = checks_of("loss", "padding")
NEXT = "each-taught-token-is-the-next-one"
MEAN = "the-loss-is-the-mean-over-supervised-tokens"
START = "the-decoder-starts-alike-in-training-and-generation"
Batch = Mapping[str, torch.Tensor]
cross_entropy = torch.nn.functional.cross_entropy


def smoothed(model: Any, batch: Batch) -> torch.Tensor:
    return cross_entropy(model(**batch).logits.flatten(0, 1), batch["labels"].flatten(), label_smoothing=0.2)


def mean_of_rows(model: Any, batch: Batch) -> torch.Tensor:
    labels = batch["labels"]
    tokens = cross_entropy(model(**batch).logits.transpose(1, 2), labels, reduction="none")
    return (tokens.sum(1) / (labels != -100).sum(1)).mean()


def summed(model: Any, batch: Batch) -> torch.Tensor:
    return cross_entropy(model(**batch).logits.flatten(0, 1), batch["labels"].flatten(), reduction="sum")


def softmax_twice(model: Any, batch: Batch) -> torch.Tensor:
    return cross_entropy(model(**batch).logits.softmax(-1).flatten(0, 1), batch["labels"].flatten())


def unshifted(model: Any, batch: Batch) -> torch.Tensor:
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    return cross_entropy(model(**inputs).logits.flatten(0, 1), batch["labels"].flatten())


def shifted_in_data() -> Pipeline:
    """Labels are the next tokens, and the user's own loss shifts nothing."""
    clean = REFERENCES["causal"]

    def encode(rows: Sequence[Row], **limits: int) -> list[dict[str, Any]]:
        features = causal.encode_rows(clean.tokenizer, rows, **limits)
        return [{**feature, "labels": [*feature["labels"][1:], -100]} for feature in features]

    return replace(clean, encode=encode, loss=unshifted)


@pytest.mark.parametrize("loss", [smoothed, mean_of_rows, summed])
def test_honest_losses_pass(loss: Callable[..., torch.Tensor]) -> None:
    """Label smoothing, a mean of rows' means and a sum are choices, no faults."""
    assert complaints(audit_with(replace(REFERENCES["seq2seq"], loss=loss), CHECKS)) == []


def test_a_shift_in_the_data_passes_with_a_loss_that_does_not_shift() -> None:
    """One shift is right wherever it is made."""
    assert complaints(audit_with(shifted_in_data(), CHECKS)) == []


def test_a_loss_without_any_shift_is_seen() -> None:
    """A causal loss that wants the token that was just read fails."""
    report = audit_with(replace(REFERENCES["causal"], loss=unshifted), CHECKS)
    assert NEXT in failures(report)
    assert "has just read" in str(report)


def test_softmax_before_cross_entropy_is_seen() -> None:
    """Probabilities taken for logits give another loss than the one computed anew."""
    assert MEAN in failures(audit_with(replace(REFERENCES["seq2seq"], loss=softmax_twice), CHECKS))


def test_a_decoder_that_reads_what_it_has_to_write_is_seen() -> None:
    """Decoder inputs equal to the labels leak each answer, and begin without the start token."""
    clean = REFERENCES["seq2seq"]

    def collate(features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        batch = seq2seq.collate_features(clean.tokenizer, features)
        return {**batch, "decoder_input_ids": batch["labels"].clamp(min=0)}

    assert {NEXT, START} <= failures(audit_with(replace(clean, collate=collate), CHECKS)).keys()


def test_the_expected_loss_is_that_of_torch() -> None:
    """With equal weights it is cross-entropy with label smoothing, as torch has it."""
    logits = torch.randn(2, 3, 7, generator=torch.Generator().manual_seed(0))
    ids = torch.tensor([[1, 2, 3], [4, 5, 6]])
    rows = [Taught(places=(0, 1, 2), ids=tuple(row), weights=(1 / 6,) * 3) for row in ids.tolist()]
    for smoothing in (0.0, 0.3):
        wanted = cross_entropy(logits.flatten(0, 1), ids.flatten(), label_smoothing=smoothing)
        assert expected_loss(logits, rows, smoothing) == pytest.approx(wanted.item(), rel=1e-5)
