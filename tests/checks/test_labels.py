"""The checks of labels on honest pipelines that differ from the references, and on faults that no catalogue has."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
import transformers

from harness.checks.pipeline import Pipeline
from harness.defects.reference import REFERENCES, causal, models, seq2seq, tokenizers
from harness.defects.reference.rows import Row, read_splits
from tests.checks.planted import audit_with, checks_of, complaints, failures

CHECKS = checks_of("labels")
TEXT = "supervised-labels-decode-to-the-target"
END = "every-target-ends-with-one-supervised-eos"
COUNT = "every-row-teaches-something"
Features = list[dict[str, Any]]


def causal_with(change: Callable[[dict[str, Any]], dict[str, Any]], *, completion_only: bool | None = True) -> Pipeline:
    """The causal reference with each feature changed."""
    clean = REFERENCES["causal"]

    def encode(rows: Sequence[Row], **limits: int) -> Features:
        return [{**feature, **change(feature)} for feature in causal.encode_rows(clean.tokenizer, rows, **limits)]

    return replace(clean, encode=encode, declared=replace(clean.declared, completion_only=completion_only))


def move_mask(feature: dict[str, Any], by: int) -> dict[str, Any]:
    """The mask of the prompt, longer or shorter by some tokens."""
    prompt = sum(label == -100 for label in feature["labels"]) + by
    return {"labels": [-100] * prompt + feature["input_ids"][prompt:]}


def add_end(feature: dict[str, Any]) -> dict[str, Any]:
    """One more closing token."""
    end = REFERENCES["causal"].tokenizer.eos_token_id
    return {
        "input_ids": [*feature["input_ids"], end],
        "attention_mask": [*feature["attention_mask"], 1],
        "labels": [*feature["labels"], end],
    }


def test_learning_the_whole_text_is_honest_where_nothing_else_is_declared() -> None:
    """Full-text training passes, and fails where the completion alone is declared."""

    def whole(feature: dict[str, Any]) -> dict[str, Any]:
        return {"labels": list(feature["input_ids"])}

    assert complaints(audit_with(causal_with(whole, completion_only=None), CHECKS)) == []
    assert failures(audit_with(causal_with(whole), CHECKS))[TEXT][0] == "prompt-not-masked"


def test_a_loss_that_ignores_padding_by_its_id_is_honest() -> None:
    """Labels padded with pad are no fault where the user's loss leaves pad out: the loss is asked, not the labels."""
    clean = REFERENCES["seq2seq"]
    pad = clean.tokenizer.pad_token_id

    def collate(features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        batch = seq2seq.collate_features(clean.tokenizer, features)
        return {**batch, "labels": batch["labels"].masked_fill(batch["labels"] == -100, pad)}

    def loss(model: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        labels = batch["labels"]
        inputs = {name: value for name, value in batch.items() if name != "labels"}
        logits = model(**inputs, decoder_input_ids=model._shift_right(labels)).logits
        return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=pad)

    assert complaints(audit_with(replace(clean, collate=collate, loss=loss), CHECKS)) == []
    assert failures(audit_with(replace(clean, collate=collate), CHECKS))[TEXT][0] == "seq2seq-pad-not-masked"


@pytest.mark.parametrize(("by", "first"), [(3, "prompt-completion-boundary-merge"), (-3, "prompt-not-masked")])
def test_a_mask_that_is_some_tokens_off_is_seen(by: int, first: str) -> None:
    """A prompt's mask that is three tokens too long or too short fails, and the likely reason is named."""
    assert failures(audit_with(causal_with(partial(move_mask, by=by)), CHECKS))[TEXT][0] == first


def test_a_second_eos_is_seen() -> None:
    """Two closing tokens behind each target fail."""
    assert END in failures(audit_with(causal_with(add_end), CHECKS))


def test_labels_of_another_row_are_seen() -> None:
    """Labels that a collator puts beside another row's input fail."""
    clean = REFERENCES["seq2seq"]

    def collate(features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        batch = seq2seq.collate_features(clean.tokenizer, features)
        return {**batch, "labels": batch["labels"].flip(0)}

    assert TEXT in failures(audit_with(replace(clean, collate=collate), CHECKS))


def test_a_fault_in_one_script_alone_is_found_and_can_be_pasted() -> None:
    """Targets that lose what is not ASCII pass on English rows, and fail with a short example of another script."""
    clean = REFERENCES["causal"]

    def encode(rows: Sequence[Row], **limits: int) -> Features:
        bare = [{**row, "target": row["target"].encode("ascii", "ignore").decode()} for row in rows]
        return causal.encode_rows(clean.tokenizer, bare, **limits)

    report = audit_with(replace(clean, encode=encode), CHECKS)
    (seen,) = [result.seen for result in report.bad if result.check.name == TEXT]
    assert "@example('" in seen
    assert not seen.split("@example(")[1].isascii()


def test_a_filter_that_drops_rows_without_labels_passes() -> None:
    """Rows that teach nothing are no fault where the user's filter drops them before training."""

    def cut(feature: dict[str, Any]) -> dict[str, Any]:
        return {name: values[:58] for name, values in feature.items()}

    def drop(features: Features) -> Features:
        return [feature for feature in features if any(label != -100 for label in feature["labels"])]

    short = causal_with(cut)
    rows = [{**row, "input": row["input"] * (1 + number % 2)} for number, row in enumerate(read_splits()["train"][:8])]
    short = replace(short, splits=lambda: {"train": rows})
    assert COUNT in failures(audit_with(short, CHECKS))
    assert COUNT not in failures(audit_with(replace(short, filter_features=drop), CHECKS))


def train_with_trainer(tokenizer: Any, targets: int | None, model: Any, rows: Sequence[Row]) -> Any:
    """A plain script: rows encoded in place, a Trainer of transformers, padding to a length where one is given."""
    features = [
        {
            **tokenizer(row["input"]),
            "labels": tokenizer(
                text_target=row["target"], padding="max_length" if targets else False, max_length=targets
            )["input_ids"],
        }
        for row in rows
    ]
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.Seq2SeqTrainingArguments(
            output_dir=folder, num_train_epochs=1, per_device_train_batch_size=4, report_to=[], use_cpu=True,
            save_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        trainer = transformers.Seq2SeqTrainer(
            model=copy.deepcopy(model),
            args=arguments,
            train_dataset=features,
            data_collator=transformers.DataCollatorForSeq2Seq(tokenizer, model),
        )
        trainer.train()
        return trainer.model


def test_a_script_without_encode_and_collate_is_listened_to() -> None:
    """Where only a training function is given, the labels are those that its model is really given."""
    tokenizer = tokenizers.t5_tokenizer()
    given = Pipeline(
        tokenizer=tokenizer,
        splits=read_splits,
        make_model=lambda seed=0: models.make_t5(tokenizer, seed),
        train=partial(train_with_trainer, tokenizer, None),
    )
    report = audit_with(given, CHECKS)
    assert complaints(report) == []
    assert [result.status for result in report.results] == ["passed"] * 3
    padded = replace(given, train=partial(train_with_trainer, tokenizer, 40))
    assert failures(audit_with(padded, CHECKS))[TEXT][0] == "seq2seq-pad-not-masked"
