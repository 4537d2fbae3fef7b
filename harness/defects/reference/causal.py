"""A clean decoder-only pipeline: a prompt, and the completion alone is learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.checks.pipeline import Declared, Pipeline
from harness.defects.reference import loop, models, tokenizers
from harness.defects.reference.rows import Row, read_splits
from harness.defects.reference.seq2seq import (
    LONGEST,
    cut,
    evaluate_loss,
    load_model,
    read_rows,
    score_rouge,
    train_rows,
    up_to_first,
)


def make_pipeline(
    tokenizer: PreTrainedTokenizerBase, make_model: Callable[..., PreTrainedModel], *, name: str = "causal"
) -> Pipeline:
    """The pipeline over a tokenizer and a maker of models, ``(tokenizer, seed) -> model``."""
    make = partial(make_model, tokenizer)
    encode = partial(encode_rows, tokenizer)
    collate = partial(collate_features, tokenizer)
    return Pipeline(
        name=name,
        declared=Declared(
            task="generation",
            completion_only=True,
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
        encode_prompt=partial(encode_prompts, tokenizer),
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
        score_continuation=partial(score_continuation, tokenizer),
        metric=score_rouge,
    )


def write_prompt(row: Row) -> str:
    """What the model reads before it answers."""
    return f"Text: {row['input']}\nSummary:"


def encode_prompts(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> list[list[int]]:
    """The prompts as ids, with the begin token where the tokenizer puts one."""
    ids: list[list[int]] = tokenizer([write_prompt(row) for row in rows], split_special_tokens=True)["input_ids"]
    return ids


def encode_rows(
    tokenizer: PreTrainedTokenizerBase,
    rows: Sequence[Row],
    *,
    max_input_tokens: int = 128,
    max_target_tokens: int = 64,
) -> list[dict[str, Any]]:
    """Prompt and completion are tokenized apart, so that the border between them is known; the prompt is masked."""
    completions = tokenizer([" " + row["target"] for row in rows], add_special_tokens=False, split_special_tokens=True)[
        "input_ids"
    ]
    features = []
    for prompt, completion in zip(encode_prompts(tokenizer, rows), completions, strict=True):
        read = cut(prompt, max_input_tokens)
        said = cut([*completion, tokenizer.eos_token_id], max_target_tokens)
        features.append(
            {
                "input_ids": read + said,
                "attention_mask": [1] * (len(read) + len(said)),
                "labels": [loop.IGNORE_INDEX] * len(read) + said,
            }
        )
    return features


def collate_features(
    tokenizer: PreTrainedTokenizerBase, features: Sequence[Mapping[str, Any]]
) -> dict[str, torch.Tensor]:
    """A batch padded on the right, by position and never by token value, for pad may be EOS."""
    fillers = {"input_ids": tokenizer.pad_token_id, "attention_mask": 0, "labels": loop.IGNORE_INDEX}
    return {
        name: torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(feature[name]) for feature in features], batch_first=True, padding_value=filler
        )
        for name, filler in fillers.items()
    }


def prompt_batch(tokenizer: PreTrainedTokenizerBase, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
    """The prompts, padded on the left, with their mask."""
    prompts = encode_prompts(tokenizer, rows)
    longest = max(map(len, prompts))
    pad = tokenizer.pad_token_id
    return {
        "input_ids": torch.tensor([[pad] * (longest - len(prompt)) + prompt for prompt in prompts]),
        "attention_mask": torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]),
    }


def generate_texts(
    tokenizer: PreTrainedTokenizerBase,
    model: PreTrainedModel,
    rows: Sequence[Row],
    *,
    batch_size: int = 8,
    use_cache: bool = True,
) -> list[str]:
    """The greedy completion of each row."""
    model.eval()
    outputs: list[str] = []
    for start in range(0, len(rows), batch_size):
        batch = prompt_batch(tokenizer, rows[start : start + batch_size])
        with torch.inference_mode():
            ids = model.generate(
                **batch, max_new_tokens=LONGEST, num_beams=1, do_sample=False, use_cache=use_cache,
                pad_token_id=tokenizer.pad_token_id,
            )  # fmt: skip
        new = ids[:, batch["input_ids"].shape[1] :]
        outputs += [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]
    return outputs


def generate_scored(
    tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, rows: Sequence[Row], *, length_penalty: float = 1.0
) -> list[tuple[list[int], float]]:
    """The new tokens of each row's best beam and its score: their log-likelihood over length to the penalty."""
    batch = prompt_batch(tokenizer, rows)
    with torch.inference_mode():
        found = model.generate(
            **batch, num_beams=3, max_new_tokens=12, length_penalty=length_penalty, do_sample=False,
            return_dict_in_generate=True, output_scores=True, pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
    start, eos = batch["input_ids"].shape[1], tokenizer.eos_token_id
    return [
        (up_to_first(ids.tolist()[start:], eos), float(score))
        for ids, score in zip(found.sequences, found.sequences_scores, strict=True)
    ]


def score_continuation(
    tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, context: str, continuation: str
) -> float:
    """The log-likelihood of a continuation, in nats."""
    read = tokenizer(context)["input_ids"]
    said = tokenizer(continuation, add_special_tokens=False)["input_ids"]
    with torch.inference_mode():
        logits = model(input_ids=torch.tensor([read + said])).logits[0].log_softmax(-1)
    return sum(float(logits[len(read) - 1 + place, token]) for place, token in enumerate(said))


def evaluate_rows(
    tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel, rows: Sequence[Row], *, batch_size: int = 8
) -> dict[str, float]:
    """ROUGE of the model's outputs, and how many rows were scored."""
    outputs = generate_texts(tokenizer, model, rows, batch_size=batch_size)
    return {**score_rouge(outputs, [row["target"] for row in rows]), "rows": float(len(outputs))}


PIPELINE = make_pipeline(tokenizers.causal_tokenizer(), models.make_llama)
