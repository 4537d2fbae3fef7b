"""A clean chat pipeline: the tokenizer's own template writes the conversation, and the assistant's turn is learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.checks.pipeline import Declared, Pipeline
from harness.defects.reference import loop, models, prompted, tokenizers
from harness.defects.reference.causal import collate_features
from harness.defects.reference.rows import Row, read_splits
from harness.defects.reference.seq2seq import LONGEST, evaluate_loss, load_model, read_rows, score_rouge, train_rows

Message = dict[str, str]


def make_pipeline(
    tokenizer: PreTrainedTokenizerBase, make_model: Callable[..., PreTrainedModel], *, name: str = "chat"
) -> Pipeline:
    """The pipeline over a tokenizer and a maker of models, ``(tokenizer, seed) -> model``."""
    make = partial(make_model, tokenizer)
    encode_prompt = partial(encode_prompts, tokenizer)
    encode = partial(encode_rows, tokenizer)
    collate = partial(collate_features, tokenizer)
    generate = partial(prompted.generate_texts, tokenizer, encode_prompt)
    return Pipeline(
        name=name,
        declared=Declared(
            task="generation",
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
        encode_prompt=encode_prompt,
        collate=collate,
        make_model=lambda seed=0: make(seed),
        train=partial(train_rows, encode, collate),
        resume=partial(train_rows, encode, collate, resume=True),
        evaluate=partial(prompted.evaluate_rows, generate),
        evaluate_loss=partial(evaluate_loss, encode, collate),
        save=lambda model, folder: model.save_pretrained(folder),
        load=partial(load_model, make),
        generate=generate,
        metric=score_rouge,
    )


def write_prompt(row: Row) -> list[Message]:
    """The conversation before the assistant speaks."""
    return [{"role": "user", "content": f"Tell this again, shorter: {row['input']}"}]


def render(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message], **options: Any) -> list[int]:
    """A conversation as ids; the template writes all special tokens, so the tokenizer adds none."""
    text = tokenizer.apply_chat_template(list(messages), tokenize=False, **options)
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids


def encode_prompts(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> list[list[int]]:
    """The conversations up to where the assistant speaks."""
    return [render(tokenizer, write_prompt(row), add_generation_prompt=True) for row in rows]


def encode_rows(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Whole conversations; what stands before the assistant's answer is masked."""
    features = []
    for row, prompt in zip(rows, encode_prompts(tokenizer, rows), strict=True):
        whole = render(tokenizer, [*write_prompt(row), {"role": "assistant", "content": row["target"]}])
        features.append(
            {
                "input_ids": whole,
                "attention_mask": [1] * len(whole),
                "labels": [loop.IGNORE_INDEX] * len(prompt) + whole[len(prompt) :],
            }
        )
    return features


PIPELINE = make_pipeline(tokenizers.causal_tokenizer(), models.make_llama)
