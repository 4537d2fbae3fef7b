"""A clean tagging pipeline: an encoder and a conditional random field mark names, places and dates word by word."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from transformers import BertForTokenClassification, PreTrainedTokenizerBase

from harness.checks.pipeline import Declared, Pipeline
from harness.data.bio import read_entities
from harness.data.newsroom import draw_event
from harness.data.newsroom.english import MONTHS
from harness.defects.reference import loop, models, tokenizers
from harness.defects.reference.classifier import encoder_config
from harness.defects.reference.seq2seq import evaluate_loss, read_rows, train_rows
from harness.forms.words import first_pieces
from harness.models import tagger

TAGS = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC", "B-DATE", "I-DATE")

Row = dict[str, Any]


class CrfTagger(tagger.CrfTagger, BertForTokenClassification):  # type: ignore[misc]  # the base class is untyped
    """BERT, a score for each tag at each piece, and a field over the first pieces of the words."""


def make_tagger(tokenizer: PreTrainedTokenizerBase, seed: int) -> CrfTagger:
    """A tiny tagger with random weights."""
    config = encoder_config(tokenizer, TAGS)
    made: CrfTagger = models.seeded(lambda: CrfTagger(config), seed)
    return made


def make_pipeline(
    tokenizer: PreTrainedTokenizerBase, make_model: Callable[..., Any] = make_tagger, *, name: str = "tagger"
) -> Pipeline:
    """The pipeline over a tokenizer and a maker of models, ``(tokenizer, seed) -> model``."""
    make = partial(make_model, tokenizer)
    encode = partial(encode_rows, tokenizer)
    collate = partial(collate_features, tokenizer)
    return Pipeline(
        name=name,
        declared=Declared(
            task="ner",
            input_column="tokens",
            target_column="tags",
            labels=TAGS,
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
        loss=loop.model_loss,
        train=partial(train_rows, encode, collate),
        resume=partial(train_rows, encode, collate, resume=True),
        evaluate=partial(evaluate_rows, tokenizer),
        evaluate_loss=partial(evaluate_loss, encode, collate),
        save=lambda model, folder: model.save_pretrained(folder),
        load=CrfTagger.from_pretrained,
        tag=partial(tag_rows, tokenizer),
        metric=score_tags,
    )


def read_splits(*, train: int = 48, evaluation: int = 24, seed: int = 7) -> dict[str, list[Row]]:
    """Rows with ``id``, ``tokens`` and ``tags``, one tag a word; no event is in both splits."""
    rows = [tell(seed, index) for index in range(train + evaluation)]
    return {"train": rows[:train], "eval": rows[train:]}


def tell(seed: int, index: int) -> Row:
    """One event as a sentence of tagged words."""
    event = draw_event(seed, index)
    facts = event.facts
    when = f"{facts.when.day} {MONTHS[facts.when.month - 1]}"
    parts = (
        (facts.who.name, "PER"), ("of", ""), (facts.org, "ORG"), ("spoke in", ""), (facts.where, "LOC"), ("on", ""),
        (when, "DATE"), (f"about {event.kind.key} .", ""),
    )  # fmt: skip
    tokens, tags = [], []
    for text, kind in parts:
        words = text.split()
        tokens += words
        tags += [f"{'I' if place else 'B'}-{kind}" if kind else "O" for place in range(len(words))]
    return {"id": event.key, "tokens": tokens, "tags": tags}


def encode_rows(
    tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row], *, max_input_tokens: int = 128
) -> list[dict[str, Any]]:
    """Words as pieces; the first piece of each word has the word's tag, all else -100."""
    encoded = tokenizer(
        [row["tokens"] for row in rows], is_split_into_words=True, split_special_tokens=True, truncation=True,
        max_length=max_input_tokens,
    )  # fmt: skip
    features = []
    for number, row in enumerate(rows):
        labels = [loop.IGNORE_INDEX] * len(encoded["input_ids"][number])
        for word, place in first_pieces(encoded.word_ids(number)).items():
            labels[place] = TAGS.index(row["tags"][word])
        features.append(
            {
                "input_ids": encoded["input_ids"][number],
                "attention_mask": encoded["attention_mask"][number],
                "labels": labels,
            }
        )
    return features


def collate_features(
    tokenizer: PreTrainedTokenizerBase, features: Sequence[Mapping[str, Any]]
) -> dict[str, torch.Tensor]:
    """A batch padded on the right; ``labels`` is (batch, length), -100 where no tag is learned."""
    fillers = {"input_ids": tokenizer.pad_token_id, "attention_mask": 0, "labels": loop.IGNORE_INDEX}
    return {
        name: torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(feature[name]) for feature in features], batch_first=True, padding_value=filler
        )
        for name, filler in fillers.items()
    }


def tag_rows(
    tokenizer: PreTrainedTokenizerBase, model: CrfTagger, rows: Sequence[Row], *, batch_size: int = 8
) -> list[list[str]]:
    """A tag for each word; a word that left no piece (it is too far back, or no more than a space) is outside."""
    model.eval()
    found: list[list[str]] = []
    for start in range(0, len(rows), batch_size):
        part = rows[start : start + batch_size]
        batch = tokenizer(
            [row["tokens"] for row in part], is_split_into_words=True, split_special_tokens=True, truncation=True,
            max_length=128, padding=True, return_tensors="pt",
        )  # fmt: skip
        places = [first_pieces(batch.word_ids(number)) for number in range(len(part))]
        mask = torch.zeros(batch["input_ids"].shape, dtype=torch.bool)
        for number, begins in enumerate(places):
            mask[number, list(begins.values())] = True
        with torch.inference_mode():
            logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        for row, begins, ids in zip(part, places, model.crf.decode(logits, mask), strict=True):
            named = {word: model.config.id2label[index] for word, index in zip(begins, ids, strict=True)}
            found.append([named.get(word, "O") for word in range(len(row["tokens"]))])
    return found


def score_tags(outputs: Sequence[Sequence[str]], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """F1 of whole entities over all rows, in percent points; 100 where there is none and none was found."""
    found = [read_entities(output) for output in outputs]
    meant = [read_entities(reference) for reference in references]
    right = sum(len(some & others) for some, others in zip(found, meant, strict=True))
    total = sum(map(len, found)) + sum(map(len, meant))
    return {"f1": 200 * right / total if total else 100.0}


def evaluate_rows(
    tokenizer: PreTrainedTokenizerBase, model: CrfTagger, rows: Sequence[Row], *, batch_size: int = 8
) -> dict[str, float]:
    """F1 of the model's entities, and how many rows were scored."""
    outputs = tag_rows(tokenizer, model, rows, batch_size=batch_size)
    return {**score_tags(outputs, [row["tags"] for row in rows]), "rows": float(len(outputs))}


PIPELINE = make_pipeline(tokenizers.encoder_tokenizer())
