"""A clean classification pipeline: an encoder names the topic of a short text."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from harness.checks.pipeline import Declared, Pipeline
from harness.defects.reference import loop, models, tokenizers
from harness.defects.reference.rows import Row, read_splits
from harness.defects.reference.seq2seq import cut, evaluate_loss, load_model, read_rows, train_rows

TOPICS = ("business", "crime", "culture", "health", "politics", "science", "sport", "weather")


def encoder_config(tokenizer: PreTrainedTokenizerBase, names: Sequence[str], **changes: Any) -> BertConfig:
    """The shape of a tiny BERT with named classes, drawn wide enough to learn them in a few steps."""
    return BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=models.WIDTH,
        num_hidden_layers=1,
        num_attention_heads=models.HEADS,
        intermediate_size=2 * models.WIDTH,
        max_position_embeddings=256,
        initializer_range=0.1,
        pad_token_id=tokenizer.pad_token_id,
        id2label=dict(enumerate(names)),
        label2id={name: index for index, name in enumerate(names)},
        **changes,
    )


def make_classifier(tokenizer: PreTrainedTokenizerBase, seed: int, **changes: Any) -> PreTrainedModel:
    """A tiny classifier of topics with random weights."""
    config = encoder_config(tokenizer, TOPICS, **changes)
    model: PreTrainedModel = models.seeded(lambda: BertForSequenceClassification(config), seed)
    return model


def make_pipeline(
    tokenizer: PreTrainedTokenizerBase,
    make_model: Callable[..., PreTrainedModel] = make_classifier,
    *,
    name: str = "classifier",
) -> Pipeline:
    """The pipeline over a tokenizer and a maker of models, ``(tokenizer, seed) -> model``."""
    make = partial(make_model, tokenizer)
    encode = partial(encode_rows, tokenizer)
    collate = partial(collate_features, tokenizer)
    return Pipeline(
        name=name,
        declared=Declared(
            task="classification",
            target_column="topic",
            labels=TOPICS,
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
        prompt=write_prompt,
        encode=encode,
        collate=collate,
        make_model=lambda seed=0: make(seed),
        train=partial(train_rows, encode, collate),
        resume=partial(train_rows, encode, collate, resume=True),
        evaluate=partial(evaluate_rows, tokenizer),
        evaluate_loss=partial(evaluate_loss, encode, collate),
        save=lambda model, folder: model.save_pretrained(folder),
        load=partial(load_model, make),
        classify=partial(classify_rows, tokenizer),
        metric=score_names,
    )


def write_prompt(row: Row) -> str:
    """What the encoder reads."""
    return row["input"]


def encode_rows(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], *, max_input_tokens: int = 128
) -> list[dict[str, Any]]:
    """Texts as ids, topics as their places in `TOPICS`."""
    texts = tokenizer([write_prompt(row) for row in rows], split_special_tokens=True)["input_ids"]
    return [
        {
            "input_ids": cut(ids, max_input_tokens),
            "attention_mask": [1] * min(len(ids), max_input_tokens),
            "labels": TOPICS.index(row["topic"]),
        }
        for ids, row in zip(texts, rows, strict=True)
    ]


def collate_features(
    tokenizer: PreTrainedTokenizerBase, features: Sequence[Mapping[str, Any]]
) -> dict[str, torch.Tensor]:
    """A batch padded to its longest row; ``labels`` is (batch,)."""
    return dict(DataCollatorWithPadding(tokenizer)([dict(feature) for feature in features]))


def classify_rows(
    tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, rows: Sequence[Row], *, batch_size: int = 8
) -> list[str]:
    """The name of each row's topic, as the model's own config has it."""
    model.eval()
    names: list[str] = []
    for start in range(0, len(rows), batch_size):
        features = [
            {name: feature[name] for name in ("input_ids", "attention_mask")}
            for feature in encode_rows(tokenizer, rows[start : start + batch_size])
        ]
        with torch.inference_mode():
            best = model(**collate_features(tokenizer, features)).logits.argmax(-1)
        names += [model.config.id2label[index] for index in best.tolist()]
    return names


def score_names(outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Accuracy, and F1 averaged over the names of the references, in percent points."""
    pairs = Counter(zip(outputs, references, strict=True))
    said, meant = Counter(outputs), Counter(references)
    f1 = [2 * pairs[name, name] / (said[name] + meant[name]) for name in meant]
    right = sum(count for (output, reference), count in pairs.items() if output == reference)
    return {"accuracy": 100 * right / len(references), "macro_f1": 100 * sum(f1) / len(f1)}


def evaluate_rows(
    tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, rows: Sequence[Row], *, batch_size: int = 8
) -> dict[str, float]:
    """Accuracy and F1 of the model's names, and how many rows were scored."""
    outputs = classify_rows(tokenizer, model, rows, batch_size=batch_size)
    return {**score_names(outputs, [row["topic"] for row in rows]), "rows": float(len(outputs))}


PIPELINE = make_pipeline(tokenizers.encoder_tokenizer())
