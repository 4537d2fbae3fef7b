"""A clean extractive question-answering pipeline: an encoder points at the answer in one of several windows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.checks.overlap import split_words
from harness.checks.pipeline import Declared, Pipeline
from harness.defects.reference import loop, models, tokenizers
from harness.defects.reference.questions import Row, read_splits
from harness.defects.reference.seq2seq import load_model, read_rows

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
    if not answers["text"]:
        return 0, 0
    start = answers["answer_start"][0]
    end = start + len(answers["text"][0])
    covered = [place for place, offset in enumerate(offsets) if offset and offset[0] < end and offset[1] > start]
    known = [offset for offset in offsets if offset]
    if not covered or known[0][0] > start or known[-1][1] < end:
        return 0, 0
    return covered[0], covered[-1]


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
                score, first, last = find_best(output, number, feature["offset_mapping"])
                if score > best:
                    best, answer = score, row["context"][first:last]
        answers.append(answer)
    return answers


def find_best(output: Any, number: int, offsets: Sequence[tuple[int, int] | None]) -> tuple[float, int, int]:
    """Score of a window's best span of context tokens, and where it begins and ends in the context."""
    known = torch.tensor([offset is not None for offset in offsets])
    length = len(offsets)
    starts, ends = output.start_logits[number, :length], output.end_logits[number, :length]
    scores = starts[:, None] + ends[None, :]
    allowed = (known[:, None] & known[None, :]).triu().tril(LONGEST_ANSWER - 1)
    place = int(scores.masked_fill(~allowed, float("-inf")).argmax())
    first, last = offsets[place // length], offsets[place % length]
    assert first is not None  # noqa: S101 - only context tokens are allowed
    assert last is not None  # noqa: S101
    return float(scores.flatten()[place]), first[0], last[1]


def score_answers(outputs: Sequence[str], references: Sequence[Any]) -> dict[str, float]:
    """Exact match and mean F1 of words, in percent points; of several references the best one counts."""
    exact, overlap = 0.0, 0.0
    for output, reference in zip(outputs, references, strict=True):
        known = reference["text"] if isinstance(reference, Mapping) else [reference]
        exact += max(split_words(output) == split_words(text) for text in known or [""])
        overlap += max(score_words(output, text) for text in known or [""])
    return {"exact_match": 100 * exact / len(outputs), "f1": 100 * overlap / len(outputs)}


def score_words(output: str, reference: str) -> float:
    """F1 of the words of two texts, 0 to 1; two empty texts agree."""
    said, meant = Counter(split_words(output)), Counter(split_words(reference))
    if not said or not meant:
        return float(said == meant)
    shared = (said & meant).total()
    return 2 * shared / (said.total() + meant.total())


def evaluate_rows(
    tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, rows: Sequence[Row], *, batch_size: int = 8
) -> dict[str, float]:
    """Exact match and F1 of the model's answers, and how many rows were scored."""
    outputs = answer_rows(tokenizer, model, rows, batch_size=batch_size)
    return {**score_answers(outputs, [row["answers"] for row in rows]), "rows": float(len(outputs))}


PIPELINE = make_pipeline(tokenizers.encoder_tokenizer(), partial(models.make_bert, "BertForQuestionAnswering"))
