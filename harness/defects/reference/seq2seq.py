"""A clean encoder-decoder pipeline: a short text becomes a shorter one."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rouge_score.rouge_scorer import RougeScorer
from transformers import DataCollatorForSeq2Seq, PreTrainedModel, PreTrainedTokenizerBase

from harness.checks.pipeline import Declared, Pipeline
from harness.defects.reference import loop, models, tokenizers
from harness.defects.reference.rows import Row, read_splits

PREFIX = "summarize: "
LONGEST = 64
"""New tokens of an output."""


def make_pipeline(
    tokenizer: PreTrainedTokenizerBase, make_model: Callable[..., PreTrainedModel], *, name: str = "seq2seq"
) -> Pipeline:
    """The pipeline over a tokenizer and a maker of models, ``(tokenizer, seed) -> model``."""
    make = partial(make_model, tokenizer)
    encode = partial(encode_rows, tokenizer)
    collate = partial(collate_features, tokenizer)
    return Pipeline(
        name=name,
        declared=Declared(
            task="summarization",
            prefix=PREFIX,
            learning_rate=loop.Options.learning_rate,
            schedule="linear",
            warmup_steps=0,
            weight_decay=loop.Options.weight_decay,
            max_new_tokens=LONGEST,
            metric_range=(0.0, 100.0),
        ),
        tokenizer=tokenizer,
        splits=read_splits,
        read=read_rows,
        prompt=write_prompt,
        encode=encode,
        encode_prompt=lambda rows: [feature["input_ids"] for feature in encode(rows)],
        collate=collate,
        make_model=lambda seed=0: make(seed),
        train=partial(train_rows, encode, collate),
        resume=partial(train_rows, encode, collate, resume=True),
        evaluate=partial(evaluate_rows, tokenizer),
        evaluate_loss=partial(evaluate_loss, encode, collate),
        save=lambda model, folder: model.save_pretrained(folder),
        load=partial(load_model, make),
        generate=partial(generate_texts, tokenizer),
        generate_scored=partial(generate_scored, tokenizer),
        metric=score_rouge,
    )


def read_rows(path: Path) -> list[Row]:
    """The rows of a JSON lines file."""
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def write_prompt(row: Row) -> str:
    """What the encoder reads."""
    return PREFIX + row["input"]


def encode_rows(
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    *,
    max_input_tokens: int = 128,
    max_target_tokens: int = 64,
) -> list[dict[str, Any]]:
    """Rows as ids; a text that is too long loses what stands before its closing token."""
    sources = tokenizer([write_prompt(row) for row in rows], split_special_tokens=True)["input_ids"]
    targets = tokenizer(text_target=[row["target"] for row in rows], split_special_tokens=True)["input_ids"]
    return [
        {
            "input_ids": cut(source, max_input_tokens),
            "attention_mask": [1] * min(len(source), max_input_tokens),
            "labels": cut(target, max_target_tokens),
        }
        for source, target in zip(sources, targets, strict=True)
    ]


def cut(ids: list[int], limit: int) -> list[int]:
    """At most ``limit`` ids, the closing one kept."""
    return ids if len(ids) <= limit else [*ids[: limit - 1], ids[-1]]


def collate_features(
    tokenizer: PreTrainedTokenizerBase, features: Sequence[Mapping[str, Any]]
) -> dict[str, torch.Tensor]:
    """A batch padded to its longest row, with -100 behind the labels."""
    collator = DataCollatorForSeq2Seq(tokenizer, label_pad_token_id=loop.IGNORE_INDEX)
    return dict(collator([dict(feature) for feature in features]))


def train_rows(
    encode: Callable[..., Any], collate: Callable[..., Any], model: PreTrainedModel, rows: Sequence[Row],
    folder: Path | None = None, *, seed: int = 0, epochs: int = 4, batch_size: int = 8, accumulation: int = 1,
    resume: bool = False,
) -> torch.nn.Module:  # fmt: skip
    """Train a copy of the model on rows."""
    return loop.train(
        model, encode(rows), collate, seed=seed, epochs=epochs, batch_size=batch_size, accumulation=accumulation,
        folder=folder, resume=resume,
    )  # fmt: skip


def load_model(make: Callable[..., PreTrainedModel], folder: Path) -> PreTrainedModel:
    """A saved model."""
    return type(make(0)).from_pretrained(folder).eval()


def prompt_batch(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> Any:
    """The rows' inputs as one padded batch with its mask."""
    sources = [feature["input_ids"] for feature in encode_rows(tokenizer, rows)]
    return tokenizer.pad({"input_ids": sources}, return_tensors="pt")


def generate_texts(
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    rows: Sequence[Row],
    *,
    batch_size: int = 8,
    use_cache: bool = True,
) -> list[str]:
    """The greedy output of each row."""
    model.eval()
    outputs: list[str] = []
    for start in range(0, len(rows), batch_size):
        batch = prompt_batch(tokenizer, rows[start : start + batch_size])
        with torch.inference_mode():
            ids = model.generate(**batch, max_new_tokens=LONGEST, num_beams=1, do_sample=False, use_cache=use_cache)
        outputs += [text.strip() for text in tokenizer.batch_decode(ids, skip_special_tokens=True)]
    return outputs


def generate_scored(
    tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, rows: Sequence[Row], *, length_penalty: float = 1.0
) -> list[tuple[list[int], float]]:
    """The new tokens of each row's best beam and its score: their log-likelihood over length to the penalty."""
    with torch.inference_mode():
        found = model.generate(
            **prompt_batch(tokenizer, rows), num_beams=3, max_new_tokens=12, length_penalty=length_penalty,
            do_sample=False, return_dict_in_generate=True, output_scores=True,
        )  # fmt: skip
    return [
        (up_to_first(ids.tolist()[1:], tokenizer.eos_token_id), float(score))
        for ids, score in zip(found.sequences, found.sequences_scores, strict=True)
    ]


def up_to_first(ids: list[int], end: int) -> list[int]:
    """Ids up to and with the first ``end``; all of them where there is none."""
    return ids[: ids.index(end) + 1] if end in ids else ids


def evaluate_rows(
    tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, rows: Sequence[Row], *, batch_size: int = 8
) -> dict[str, float]:
    """ROUGE of the model's outputs, and how many rows were scored."""
    outputs = generate_texts(tokenizer, model, rows, batch_size=batch_size)
    return {**score_rouge(outputs, [row["target"] for row in rows]), "rows": float(len(outputs))}


def evaluate_loss(
    encode: Callable[..., Any],
    collate: Callable[..., Any],
    model: PreTrainedModel,
    rows: Sequence[Row],
    *,
    batch_size: int = 8,
) -> float:
    """The mean loss over all supervised tokens, in nats."""
    model.eval()
    features = encode(rows)
    total, tokens = 0.0, 0
    for start in range(0, len(features), batch_size):
        batch = collate(features[start : start + batch_size])
        with torch.inference_mode():
            total += float(loop.model_loss(model, batch)) * loop.count_supervised(batch)
        tokens += loop.count_supervised(batch)
    return total / tokens


def score_rouge(outputs: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Mean ROUGE over rows in percent points, one sentence a line for rougeLsum."""
    kinds = ("rouge1", "rouge2", "rougeL", "rougeLsum")
    scorer = RougeScorer(list(kinds), use_stemmer=True)
    rows = [
        scorer.score(reference.replace(". ", ".\n"), output.replace(". ", ".\n"))
        for output, reference in zip(outputs, references, strict=True)
    ]
    return {kind: 100 * sum(row[kind].fmeasure for row in rows) / len(rows) for kind in kinds}


PIPELINE = make_pipeline(tokenizers.t5_tokenizer(), models.make_t5)
