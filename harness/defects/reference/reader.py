"""A clean extractive question-answering pipeline: an encoder points at the answer in one of several windows."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.checks.pipeline import Declared, Pipeline
from harness.defects.reference import loop, models, tokenizers
from harness.defects.reference.questions import Row, read_splits
from harness.defects.reference.seq2seq import load_model, read_rows
from harness.metrics.answers import best_match
from harness.tasks import spans

LONGEST_ANSWER = 12
"""Tokens."""
NAMES = ("input_ids", "attention_mask", "token_type_ids")
POSITIONS = ("start_positions", "end_positions")


def make_pipeline(
    tokenizer: PreTrainedTokenizerBase, make_model: Callable[..., PreTrainedModel], *, name: str = "reader"
) -> Pipeline:
    """The pipeline over a tokenizer and a maker of models, ``(tokenizer, seed) -> model``."""
    make = partial(make_model, tokenizer)
    encode = partial(encode_rows, tokenizer)
    collate = partial(collate_features, tokenizer)
    return Pipeline(
        name=name,
        declared=Declared(
            task="question-answering",
            input_column="question",
            target_column="answers",
            group_column="document",
            learning_rate=loop.Options.learning_rate,
            schedule="linear",
            warmup_steps=0,
            weight_decay=loop.Options.weight_decay,
            metric_range=(0.0, 100.0),
            greater_is_better=True,
        ),
        tokenizer=tokenizer,
        splits=read_splits,
        read=read_rows,
        encode=encode,
        collate=collate,
        make_model=lambda seed=0: make(seed),
        train=partial(train_rows, encode, collate),
        evaluate=partial(evaluate_rows, tokenizer),
        save=lambda model, folder: model.save_pretrained(folder),
        load=partial(load_model, make),
        metric=score_answers,
    )


def encode_rows(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], *, max_input_tokens: int = 64, stride: int = 24
) -> list[dict[str, Any]]:
    """Windows over each context with the question in front; a window without the answer points at its first token."""
    features = []
    for row in rows:
        windows = tokenizer(
            row["question"],
            row["context"],
            truncation="only_second",
            max_length=max_input_tokens,
            stride=stride,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_token_type_ids=True,
        )
        for number in range(len(windows["input_ids"])):
            inside = windows.sequence_ids(number)
            offsets = [
                tuple(offset) if part == 1 else None
                for offset, part in zip(windows["offset_mapping"][number], inside, strict=True)
            ]
            first, last = find_span(offsets, row["answers"])
            features.append(
                {name: windows[name][number] for name in NAMES}
                | {"offset_mapping": offsets, "start_positions": first, "end_positions": last}
            )
    return features


def find_span(offsets: Sequence[tuple[int, int] | None], answers: Mapping[str, Any]) -> tuple[int, int]:
    """First and last token of the answer; 0 and 0 where it is not wholly in the window."""
    places = zip(answers["answer_start"], answers["text"], strict=True)
    return spans.find_span(offsets, [(start, start + len(text)) for start, text in places])


def collate_features(
    tokenizer: PreTrainedTokenizerBase, features: Sequence[Mapping[str, Any]]
) -> dict[str, torch.Tensor]:
    """A batch padded to its longest window; ``start_positions`` and ``end_positions`` are (batch,)."""
    batch = dict(tokenizer.pad({name: [f[name] for f in features] for name in NAMES}, return_tensors="pt"))
    known = [name for name in POSITIONS if name in features[0]]
    return batch | {name: torch.tensor([feature[name] for feature in features]) for name in known}


def train_rows(
    encode: Callable[..., Any], collate: Callable[..., Any], model: PreTrainedModel, rows: Sequence[Row],
    folder: Path | None = None, *, seed: int = 0, epochs: int = 4, batch_size: int = 8, accumulation: int = 1,
) -> torch.nn.Module:  # fmt: skip
    """Train a copy of the model on the windows of rows; each window weighs the same."""

    def collate_counted(features: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        batch = collate(features)
        return {**batch, "labels": batch["start_positions"]}

    def loss(tuned: torch.nn.Module, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return loop.model_loss(tuned, {name: value for name, value in batch.items() if name != "labels"})

    return loop.train(
        model, encode(rows), collate_counted, loss=loss, seed=seed, epochs=epochs, batch_size=batch_size,
        accumulation=accumulation, folder=folder,
    )  # fmt: skip


def answer_rows(
    tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, rows: Sequence[Row], *, batch_size: int = 8
) -> list[str]:
    """The likeliest span over all windows of each row, as it stands in the context."""
    model.eval()
    answers = []
    for row in rows:
        features = encode_rows(tokenizer, [row])
        best, answer = float("-inf"), ""
        for start in range(0, len(features), batch_size):
            part = features[start : start + batch_size]
            batch = collate_features(tokenizer, [{name: f[name] for name in NAMES} for f in part])
            with torch.inference_mode():
                output = model(**batch)
            for number, feature in enumerate(part):
                offsets = feature["offset_mapping"]
                starts, ends = (logits[number, : len(offsets)] for logits in (output.start_logits, output.end_logits))
                score, span = spans.best_span(starts.numpy(), ends.numpy(), offsets, longest=LONGEST_ANSWER)
                if score > best:
                    best, answer = score, row["context"][slice(*span)]
        answers.append(answer)
    return answers


def score_answers(outputs: Sequence[str], references: Sequence[Any]) -> dict[str, float]:
    """Exact match and mean F1 of words, in percent points; of several references the best one counts."""
    scores = [
        best_match(output, (reference["text"] if isinstance(reference, Mapping) else [reference]) or [""])
        for output, reference in zip(outputs, references, strict=True)
    ]
    exact, overlap = (sum(column) / len(scores) for column in zip(*scores, strict=True))
    return {"exact_match": exact, "f1": overlap}


def evaluate_rows(
    tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, rows: Sequence[Row], *, batch_size: int = 8
) -> dict[str, float]:
    """Exact match and F1 of the model's answers, and how many rows were scored."""
    outputs = answer_rows(tokenizer, model, rows, batch_size=batch_size)
    return {**score_answers(outputs, [row["answers"] for row in rows]), "rows": float(len(outputs))}


PIPELINE = make_pipeline(tokenizers.encoder_tokenizer(), partial(models.make_bert, "BertForQuestionAnswering"))
