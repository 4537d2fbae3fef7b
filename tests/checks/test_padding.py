"""The checks of padding on honest collators of several kinds, and on faults that no catalogue has."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from harness.checks.pipeline import Pipeline
from harness.defects.reference import REFERENCES, causal, classifier, models, seq2seq
from tests.checks.planted import audit_with, checks_of, complaints, failures

CHECKS = checks_of("padding")
MASK = "padding-is-masked-and-holds-no-minus-100"
BATCH = "a-row-does-not-depend-on-its-batch"
Features = Sequence[Mapping[str, Any]]


def pad_left(features: Features) -> dict[str, torch.Tensor]:
    longest = max(len(feature["input_ids"]) for feature in features)
    fillers = {"input_ids": REFERENCES["causal"].tokenizer.pad_token_id, "attention_mask": 0, "labels": -100}
    return {
        name: torch.tensor([[filler] * (longest - len(f[name])) + list(f[name]) for f in features])
        for name, filler in fillers.items()
    }


def make_gpt2(seed: int = 0) -> Any:
    return models.make_gpt2(REFERENCES["causal"].tokenizer, seed)


def weigh_classes(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    weight = torch.arange(1.0, logits.shape[1] + 1)
    return torch.nn.functional.cross_entropy(logits, batch["labels"], weight=weight)


def changed_seq2seq(change: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> Pipeline:
    clean = REFERENCES["seq2seq"]
    return replace(clean, collate=lambda features: change(seq2seq.collate_features(clean.tokenizer, features)))


@pytest.mark.parametrize(
    "honest",
    [
        replace(REFERENCES["causal"], collate=pad_left),
        replace(REFERENCES["classifier"], loss=weigh_classes),
        replace(REFERENCES["causal"], make_model=make_gpt2),
    ],
    ids=["rotary positions padded on the left", "weighted classes", "learned positions padded on the right"],
)
def test_honest_batches_pass(honest: Pipeline) -> None:
    """Padding that the model does not read and a mean with weights are choices, no faults."""
    assert complaints(audit_with(honest, CHECKS)) == []


def test_learned_positions_that_count_padding_are_seen() -> None:
    """A GPT-2 padded on the left without position ids computes other logits for a padded row."""
    report = audit_with(replace(REFERENCES["causal"], make_model=make_gpt2, collate=pad_left), CHECKS)
    assert list(failures(report)) == [BATCH]


def test_a_mask_left_out_is_seen() -> None:
    """Without an attention mask an encoder reads its padding."""
    found = failures(
        audit_with(changed_seq2seq(lambda b: {n: v for n, v in b.items() if n != "attention_mask"}), CHECKS)
    )
    assert found == {BATCH: ("attention-mask-missing", "minus100-in-model-inputs")}


def test_minus_100_in_decoder_inputs_is_seen() -> None:
    """Decoder inputs made from labels without replacing -100 are named, before they crash."""
    report = audit_with(changed_seq2seq(lambda batch: {**batch, "decoder_input_ids": batch["labels"]}), CHECKS[:1])
    assert failures(report)[MASK][0] == "minus100-in-model-inputs"


def test_a_mask_padded_with_minus_100_is_seen() -> None:
    """Only 0 and 1 are values of a mask."""
    report = audit_with(changed_seq2seq(lambda b: {**b, "attention_mask": b["attention_mask"] * 101 - 100}), CHECKS)
    assert failures(report)[MASK] == ("minus100-in-model-inputs",)


def test_a_mask_made_from_values_hides_text() -> None:
    """Where pad also ends a text, a mask of "not pad" leaves the closing token out."""
    clean = REFERENCES["assistant"]

    def collate(features: Features) -> dict[str, torch.Tensor]:
        batch = causal.collate_features(clean.tokenizer, features)
        return {**batch, "attention_mask": (batch["input_ids"] != clean.tokenizer.pad_token_id).long()}

    assert failures(audit_with(replace(clean, collate=collate), CHECKS))[MASK][0] == "mask-inferred-from-token-value"


def test_a_loss_that_compares_rows_is_seen() -> None:
    """A loss that changes when the rows of a batch change places fails."""

    def loss(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        tokens = torch.nn.functional.cross_entropy(logits, batch["labels"], reduction="none")
        weights = torch.arange(1.0, len(tokens) + 1) ** 2
        return (tokens * weights).sum() / weights.sum()

    assert BATCH in failures(audit_with(replace(REFERENCES["classifier"], loss=loss), CHECKS))


def test_a_collator_that_draws_is_not_judged() -> None:
    """Where two batches of the same rows differ, nothing can be compared and the checks are skipped."""

    def collate(features: Features) -> dict[str, torch.Tensor]:
        batch = classifier.collate_features(REFERENCES["classifier"].tokenizer, features)
        return {**batch, "input_ids": torch.randint(5, 50, batch["input_ids"].shape)}

    report = audit_with(replace(REFERENCES["classifier"], collate=collate), CHECKS)
    assert {str(result.status) for result in report.results} == {"skipped"}
