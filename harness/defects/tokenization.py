"""Defects between text and token ids."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, normalizers
from transformers import PreTrainedTokenizerBase

from harness.checks.pipeline import Pipeline
from harness.defects.defect import defect
from harness.defects.reference import (
    causal,
    chat,
    fewshot,
    loop,
    models,
    pretrained,
    prompted,
    reader,
    seq2seq,
    translator,
)
from harness.defects.reference.rows import Row, read_splits

Features = list[dict[str, Any]]


@defect(
    "missing-eos-seq2seq-target",
    "tokenization",
    reference="seq2seq",
    symptom="Outputs go on after the answer until the limit, and precision is low.",
    source="https://github.com/huggingface/transformers/pull/5866",
)
def missing_eos_seq2seq_target(clean: Pipeline) -> Pipeline:
    """Targets are tokenized without special tokens, so none of them ends with ``</s>``."""

    def encode(rows: Sequence[Row], **limits: int) -> Features:
        features = seq2seq.encode_rows(clean.tokenizer, rows, **limits)
        targets = clean.tokenizer([row["target"] for row in rows], add_special_tokens=False)["input_ids"]
        return [{**feature, "labels": ids} for feature, ids in zip(features, targets, strict=True)]

    return _train_on(clean, encode)


@defect(
    "double-bos-training",
    "tokenization",
    reference="chat",
    symptom="A slight loss of quality that nobody can place.",
    source="https://github.com/OpenRLHF/OpenRLHF/issues/393",
)
def double_bos_training(clean: Pipeline) -> Pipeline:
    """The chat template writes the begin token into the text, and the tokenizer puts another one before it."""
    tokenizer = clean.tokenizer

    def encode(rows: Sequence[Row]) -> Features:
        features = []
        for row in rows:
            messages = chat.write_prompt(row)
            asked = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            told = [*messages, {"role": "assistant", "content": row["target"]}]
            ids = tokenizer(tokenizer.apply_chat_template(told, tokenize=False))["input_ids"]
            features.append(mask_prompt(ids, len(tokenizer(asked)["input_ids"])))
        return features

    return _train_on(clean, encode)


@defect(
    "train-inference-prompt-skew",
    "tokenization",
    reference="chat",
    symptom="The tuned model answers worse than its loss suggests.",
    source="https://github.com/MakazhanAlpamys/Soup/issues/781",
)
def train_inference_prompt_skew(clean: Pipeline) -> Pipeline:
    """Training tokenizes the rendered template as it is, generation puts another begin token before it."""
    tokenizer = clean.tokenizer

    def encode_prompt(rows: Sequence[Row]) -> list[list[int]]:
        texts = [
            tokenizer.apply_chat_template(chat.write_prompt(row), tokenize=False, add_generation_prompt=True)
            for row in rows
        ]
        ids: list[list[int]] = tokenizer(texts)["input_ids"]
        return ids

    return _ask_with(clean, encode_prompt)


@defect(
    "target-truncation-drops-tail",
    "tokenization",
    reference="seq2seq",
    symptom="Outputs are short and recall is low, or outputs do not stop.",
    source="https://github.com/unslothai/unsloth/pull/10852",
)
def target_truncation_drops_tail(clean: Pipeline) -> Pipeline:
    """Targets are cut at a limit that most of them pass, and their end goes with its closing token."""

    def encode(rows: Sequence[Row], *, max_input_tokens: int = 128, max_target_tokens: int = 15) -> Features:
        features = seq2seq.encode_rows(clean.tokenizer, rows, max_input_tokens=max_input_tokens)
        return [{**feature, "labels": feature["labels"][:max_target_tokens]} for feature in features]

    return _train_on(clean, encode)


@defect(
    "prompt-truncated-on-wrong-side",
    "tokenization",
    reference="causal",
    symptom="Good answers to short texts, poor ones to long texts.",
    source="https://github.com/NVIDIA/Model-Optimizer/pull/2113",
)
def prompt_truncated_on_wrong_side(clean: Pipeline) -> Pipeline:
    """Prompts that are too long are cut on the right, where they say what is to be done."""
    tokenizer = clean.tokenizer

    def encode_prompt(rows: Sequence[Row]) -> list[list[int]]:
        texts = [causal.write_prompt(row) for row in rows]
        ids: list[list[int]] = tokenizer(texts, truncation=True, max_length=40)["input_ids"]
        return ids

    def encode(rows: Sequence[Row]) -> Features:
        features = []
        for row, prompt in zip(rows, encode_prompt(rows), strict=True):
            completion = tokenizer(" " + row["target"], add_special_tokens=False)["input_ids"]
            features.append(mask_prompt([*prompt, *completion, tokenizer.eos_token_id], len(prompt)))
        return features

    return _train_on(_ask_with(clean, encode_prompt), encode)


@defect(
    "eval-context-left-truncated",
    "tokenization",
    reference="fewshot",
    symptom="A plausible score of answers to questions that the model never saw.",
    source="https://github.com/knoveleng/open-rs/issues/13",
)
def eval_context_left_truncated(clean: Pipeline) -> Pipeline:
    """To make room for the answer, only the last tokens of a prompt are given to the model, without its examples."""
    longest = 160

    def make_room(rows: Sequence[Row]) -> list[list[int]]:
        prompts = fewshot.encode_prompts(clean.tokenizer, fewshot.write_prompt, rows)
        return [prompt[-(longest - seq2seq.LONGEST) :] for prompt in prompts]

    return replace(_ask_with(clean, make_room), encode_prompt=clean.encode_prompt)


@defect(
    "missing-task-prefix",
    "tokenization",
    reference="seq2seq",
    symptom="Outputs are full of sentinel tokens, or in another language.",
    source="https://github.com/abelriboulot/onnxt5/issues/7",
)
def missing_task_prefix(clean: Pipeline) -> Pipeline:
    """Training puts the task's prefix before each input, and generation forgets it."""

    def encode_prompt(rows: Sequence[Row]) -> list[list[int]]:
        ids: list[list[int]] = clean.tokenizer([row["input"] for row in rows])["input_ids"]
        return ids

    def generate(model: Any, rows: Sequence[Row], *, batch_size: int = 8, use_cache: bool = True) -> list[str]:
        model.eval()
        outputs: list[str] = []
        for start in range(0, len(rows), batch_size):
            sources = encode_prompt(rows[start : start + batch_size])
            batch = clean.tokenizer.pad({"input_ids": sources}, return_tensors="pt")
            ids = model.generate(**batch, max_new_tokens=seq2seq.LONGEST, num_beams=1, use_cache=use_cache)
            outputs += [text.strip() for text in clean.tokenizer.batch_decode(ids, skip_special_tokens=True)]
        return outputs

    evaluate = partial(prompted.evaluate_rows, generate)
    return replace(clean, encode_prompt=encode_prompt, generate=generate, evaluate=evaluate)


@defect(
    "newline-lost-in-sentencepiece",
    "tokenization",
    reference="seq2seq",
    symptom="Structured output cannot be learned, and rougeLsum equals rougeL.",
    source="https://github.com/huggingface/transformers/issues/6150",
)
def newline_lost_in_sentencepiece(clean: Pipeline) -> Pipeline:
    """Targets have one sentence a line, and the tokenizer makes one space of every run of white space, as T5's does."""
    tokenizer = copy.deepcopy(clean.tokenizer)
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace(Regex(r"\s+"), " ")

    def splits() -> dict[str, list[Row]]:
        found = read_splits()
        return {
            name: [{**row, "target": row["target"].replace(". ", ".\n")} for row in rows]
            for name, rows in found.items()
        }

    return replace(seq2seq.make_pipeline(tokenizer, models.make_t5), splits=splits)


@defect(
    "slow-fast-tokenizer-mismatch",
    "tokenization",
    reference="causal",
    symptom="Odd spaces in outputs, and a small loss in every metric.",
    source="https://github.com/lm-sys/FastChat/issues/1022",
)
def slow_fast_tokenizer_mismatch(clean: Pipeline) -> Pipeline:
    """Training uses the slow tokenizer, which strips the spaces around added tokens, and generation the fast one."""
    fast, slow = copy.deepcopy(clean.tokenizer), copy.deepcopy(clean.tokenizer)
    fast.add_tokens([AddedToken("<sep>", normalized=False)])
    slow.add_tokens([AddedToken("<sep>", lstrip=True, rstrip=True, normalized=False)])
    generating = causal.make_pipeline(fast, models.make_llama)
    training = causal.make_pipeline(slow, models.make_llama)
    return replace(
        generating,
        encode=training.encode,
        train=training.train,
        resume=training.resume,
        evaluate_loss=training.evaluate_loss,
    )


@defect(
    "wrong-tokenizer-for-model",
    "tokenization",
    reference="pretrained",
    symptom="The loss starts at that of a guess, learning is slow, and outputs are garbage.",
    source="",
)
def wrong_tokenizer_for_model(clean: Pipeline) -> Pipeline:
    """The tokenizer is another checkpoint's, of the same kind and size, which numbers the same pieces otherwise."""
    return pretrained.make_pipeline(renumber(clean.tokenizer))


@defect(
    "mbart-language-code-wrong",
    "tokenization",
    reference="translator",
    symptom="The model writes other languages while it is trained.",
    source="https://github.com/huggingface/transformers/issues/18133",
)
def mbart_language_code_wrong(clean: Pipeline) -> Pipeline:
    """Targets carry the language behind their closing token, as sources of older models do, and not before the text."""
    language = clean.tokenizer.convert_tokens_to_ids(translator.LANGUAGE)

    def encode(rows: Sequence[Row], **limits: int) -> Features:
        features = seq2seq.encode_rows(clean.tokenizer, rows, **limits)
        return [{**feature, "labels": [*feature["labels"], language]} for feature in features]

    return _train_on(clean, encode)


@defect(
    "prompt-completion-boundary-merge",
    "tokenization",
    reference="causal",
    symptom="The first piece of each answer is never learned; answers of one token are not learned at all.",
    source="https://github.com/pytorch/torchtitan/pull/4504",
)
def prompt_completion_boundary_merge(clean: Pipeline) -> Pipeline:
    """The mask is as long as the tokenized prompt, whose last space becomes part of the answer's first token."""
    tokenizer = clean.tokenizer

    def write_prompt(row: Row) -> str:
        return causal.write_prompt(row) + " "

    def encode_prompt(rows: Sequence[Row]) -> list[list[int]]:
        ids: list[list[int]] = tokenizer([write_prompt(row) for row in rows])["input_ids"]
        return ids

    def encode(rows: Sequence[Row]) -> Features:
        features = []
        for row, prompt in zip(rows, encode_prompt(rows), strict=True):
            ids = tokenizer(write_prompt(row) + row["target"])["input_ids"]
            features.append(mask_prompt([*ids, tokenizer.eos_token_id], len(prompt)))
        return features

    return _train_on(replace(_ask_with(clean, encode_prompt), prompt=write_prompt), encode)


@defect(
    "qa-window-skips-tokens",
    "tokenization",
    reference="reader",
    symptom="Some answers are never found, and exact match has a ceiling below 100.",
    source="https://github.com/huggingface/transformers/issues/2548",
)
def qa_window_skips_tokens(clean: Pipeline) -> Pipeline:
    """The step from window to window is taken of the window's whole length, though the question takes room of it."""

    def encode(rows: Sequence[Any], *, max_input_tokens: int = 64) -> Features:
        features = []
        for row in rows:
            question = clean.tokenizer(row["question"], add_special_tokens=False)["input_ids"]
            whole = clean.tokenizer(
                row["question"], row["context"], return_offsets_mapping=True, return_token_type_ids=True
            )
            front = len(question) + 2
            for start in range(front, len(whole["input_ids"]) - 1, max_input_tokens - 3):
                places = [
                    *range(front),
                    *range(start, min(start + max_input_tokens - front - 1, len(whole["input_ids"]) - 1)),
                ]
                offsets = [None] * front + [tuple(whole["offset_mapping"][place]) for place in places[front:]]
                first, last = reader.find_span(offsets, row["answers"])
                window = {name: [*(whole[name][place] for place in places), whole[name][-1]] for name in reader.NAMES}
                features.append(
                    {**window, "offset_mapping": [*offsets, None], "start_positions": first, "end_positions": last}
                )
        return features

    collate: Any = clean.collate
    return replace(clean, encode=encode, train=partial(reader.train_rows, encode, collate))


def mask_prompt(ids: list[int], prompt: int) -> dict[str, Any]:
    """A feature of a decoder-only model whose first tokens are not learned."""
    return {
        "input_ids": ids,
        "attention_mask": [1] * len(ids),
        "labels": [loop.IGNORE_INDEX] * prompt + ids[prompt:],
    }


def renumber(tokenizer: PreTrainedTokenizerBase) -> PreTrainedTokenizerBase:
    """The same tokenizer with other numbers for all pieces but the special tokens."""
    other = copy.deepcopy(tokenizer)
    content = json.loads(other.backend_tokenizer.to_str())
    fixed = {entry["content"] for entry in content["added_tokens"]}
    pieces = [piece for piece in content["model"]["vocab"] if piece not in fixed]
    numbers = [content["model"]["vocab"][piece] for piece in pieces]
    random.Random(0).shuffle(numbers)
    content["model"]["vocab"].update(zip(pieces, numbers, strict=True))
    other._tokenizer = Tokenizer.from_str(json.dumps(content))  # noqa: SLF001 - there is no public way to exchange it
    return other


def _train_on(clean: Pipeline, encode: Any) -> Pipeline:
    """The pipeline with another encoding of rows."""
    collate: Any = clean.collate
    return replace(
        clean,
        encode=encode,
        train=partial(seq2seq.train_rows, encode, collate),
        resume=partial(seq2seq.train_rows, encode, collate, resume=True),
        evaluate_loss=partial(seq2seq.evaluate_loss, encode, collate),
    )


def _ask_with(clean: Pipeline, encode_prompt: Any) -> Pipeline:
    """The pipeline with other prompts for generation."""
    generate = partial(prompted.generate_texts, clean.tokenizer, encode_prompt)
    evaluate = partial(prompted.evaluate_rows, generate)
    return replace(clean, encode_prompt=encode_prompt, generate=generate, evaluate=evaluate)
