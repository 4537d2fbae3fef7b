"""Closing tokens, masks, cut targets, and models with the tokenizer of another."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import processors

from harness.checks.check import Status
from harness.checks.pipeline import Pipeline
from harness.checks.pretrained_fit import hide_spans
from harness.checks.suite import audit, choose_checks
from harness.defects.reference import REFERENCES, causal, classifier, models, pretrained, seq2seq, tokenizers
from harness.defects.tokenization import renumber
from tests.checks.stage import audit_first, failed


def encoder(reference: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Pipeline:
    """A pipeline that encodes with a change, and has no other part."""
    clean = REFERENCES[reference]
    encode: Any = clean.encode

    def encode_changed(rows: Sequence[Any]) -> list[dict[str, Any]]:
        return [change(feature) for feature in encode(rows)]

    return Pipeline(tokenizer=clean.tokenizer, splits=clean.splits, encode=encode_changed)


def without_end(feature: dict[str, Any]) -> dict[str, Any]:
    """A completion without its closing token."""
    return {name: ids[:-1] for name, ids in feature.items()}


def masked_end(feature: dict[str, Any]) -> dict[str, Any]:
    """A closing token that is read and not learned."""
    return {**feature, "labels": [*feature["labels"][:-1], -100]}


def mask_too_long(feature: dict[str, Any]) -> dict[str, Any]:
    """A mask that covers the first token of the completion."""
    first = next(place for place, label in enumerate(feature["labels"]) if label != -100)
    return {**feature, "labels": [-100] * (first + 1) + feature["labels"][first + 1 :]}


def half(feature: dict[str, Any]) -> dict[str, Any]:
    """A target of which half is kept, closed all the same."""
    ids = feature["labels"]
    return {**feature, "labels": [*ids[: len(ids) // 2], ids[-1]]}


@pytest.mark.parametrize(
    ("reference", "change", "check", "suspect"),
    [
        ("causal", without_end, "targets-are-closed", "missing-eos-seq2seq-target"),
        ("causal", masked_end, "targets-are-closed", "eos-masked-because-pad-is-eos"),
        ("causal", mask_too_long, "completions-begin-at-a-token-border", "prompt-completion-boundary-merge"),
        ("seq2seq", half, "targets-are-not-cut", "target-truncation-drops-tail"),
    ],
)
def test_labels_of_other_faults_are_seen(
    reference: str, change: Callable[[dict[str, Any]], dict[str, Any]], check: str, suspect: str
) -> None:
    """Closing tokens that are missing or masked, masks that are too long and closed halves are told apart."""
    report = audit_first(encoder(reference, change))
    assert failed(report) == {check}
    assert report.suspects[0] == suspect


def test_a_doubled_class_token_is_seen() -> None:
    """An encoder's tokenizer that writes its first token twice is seen as one with two begin tokens."""
    tokenizer = copy.deepcopy(tokenizers.encoder_tokenizer())
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] [CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    clean = classifier.make_pipeline(tokenizer)
    assert failed(audit_first(Pipeline(tokenizer=tokenizer, splits=clean.splits, encode=clean.encode))) == {
        "sequences-begin-once"
    }


def test_unknown_letters_in_targets_are_seen() -> None:
    """A tokenizer that does not know the script of the targets is no tokenizer for them."""

    def splits() -> dict[str, list[Any]]:
        rows = [{"id": str(n), "input": f"text {n}", "target": f"report ж{n} щ"} for n in range(8)]
        return {"train": rows}

    tokenizer = tokenizers.encoder_tokenizer()

    def encode(rows: Sequence[Any]) -> list[dict[str, Any]]:
        return [
            {"input_ids": tokenizer(row["input"])["input_ids"], "labels": tokenizer(row["target"])["input_ids"]}
            for row in rows
        ]

    report = audit_first(Pipeline(tokenizer=tokenizer, splits=splits, encode=encode))
    assert "targets-survive-tokenization" in failed(report)


def knows(pipeline: Pipeline) -> Status:
    """How the check of model and tokenizer ends."""
    return audit(pipeline, checks=choose_checks(only=["the-model-knows-the-tokenizer"])).results[0].status


def test_a_pretrained_model_knows_its_own_tokenizer_alone() -> None:
    """The embedded T5 passes with its tokenizer, fails with a renumbered one, and a random T5 says nothing."""
    tokenizer = tokenizers.t5_tokenizer()
    assert knows(pretrained.make_pipeline(tokenizer)) is Status.PASSED
    assert knows(pretrained.make_pipeline(renumber(tokenizer))) is Status.FAILED
    assert knows(seq2seq.make_pipeline(tokenizer, models.make_t5)) is Status.SKIPPED


def test_a_decoder_that_was_trained_here_knows_its_tokenizer() -> None:
    """A small Llama that learned the newsroom's texts passes, and fails with a renumbered tokenizer."""
    clean = REFERENCES["causal"]
    train: Any = clean.train
    make: Any = clean.make_model
    splits: Any = clean.splits
    whole = [{**row, "input": "", "target": row["input"]} for row in splits()["train"]]
    tuned = train(make(), whole, epochs=20)
    right = replace(clean, make_model=lambda: tuned)
    assert knows(right) is Status.PASSED
    wrong = causal.make_pipeline(renumber(clean.tokenizer), lambda *_: tuned)
    assert knows(wrong) is Status.FAILED


@given(ids=st.lists(st.integers(100, 999), min_size=40, max_size=90))
def test_hidden_spans_put_back_give_the_text(ids: list[int]) -> None:
    """What an encoder reads and what a decoder writes make up the whole text, each token once."""
    sentinels = list(range(10, 20))
    source, target = hide_spans(ids, sentinels, 1)
    pieces: dict[int, list[int]] = {}
    for token in target[:-1]:
        if token in sentinels:
            pieces[token] = current = []
        else:
            current.append(token)
    rebuilt = [piece for token in source[:-1] for piece in pieces.get(token, [token])]
    assert rebuilt == ids
