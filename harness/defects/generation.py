"""Defects of generation: padding, masks, caches, lengths, settings, and scores of what was generated."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch

from harness.checks.pipeline import Pipeline
from harness.defects.defect import defect
from harness.defects.reference import causal, seq2seq, translator, verbaliser


def in_batches(write: Callable[..., list[str]]) -> Callable[..., list[str]]:
    """A generate part of a function that writes the outputs of one batch."""

    def generate(model: Any, rows: Sequence[Any], *, batch_size: int = 8, use_cache: bool = True) -> list[str]:
        model.eval()
        outputs: list[str] = []
        for start in range(0, len(rows), batch_size):
            with torch.inference_mode():
                outputs += write(model, rows[start : start + batch_size], use_cache=use_cache)
        return outputs

    return generate


@defect(
    "eval-generation-length-default-20",
    "generation",
    reference="seq2seq",
    symptom="Every output is 20 tokens long; recall is low.",
    source="https://github.com/huggingface/transformers/issues/10032",
)
def default_length(clean: Pipeline) -> Pipeline:
    """The evaluation leaves the length to the library, which stops after 20 tokens."""

    def write(model: Any, rows: Sequence[Any], *, use_cache: bool) -> list[str]:
        batch = seq2seq.prompt_batch(clean.tokenizer, rows)
        ids = model.generate(**batch, num_beams=1, do_sample=False, use_cache=use_cache)
        return [text.strip() for text in clean.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    return replace(clean, generate=in_batches(write))


def _write_padded(tokenizer: Any, model: Any, rows: Sequence[Any], *, mask: bool, use_cache: bool) -> list[str]:
    """The greedy completions behind prompts that the tokenizer pads on its own side."""
    prompts = [causal.write_prompt(row) for row in rows]
    batch = tokenizer(prompts, padding=True, return_tensors="pt")
    inputs = {"input_ids": batch["input_ids"], **({"attention_mask": batch["attention_mask"]} if mask else {})}
    ids = model.generate(
        **inputs, max_new_tokens=seq2seq.LONGEST, do_sample=False, use_cache=use_cache,
        pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    new = ids[:, batch["input_ids"].shape[1] :]
    return [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]


@defect(
    "right-padding-in-decoder-only-batch",
    "generation",
    reference="causal",
    symptom="Short prompts of a batch give garbage, the longest ones are fine.",
    source="https://github.com/huggingface/transformers/issues/18478",
)
def right_padding(clean: Pipeline) -> Pipeline:
    """Prompts of a decoder are padded on the right, so new tokens follow padding."""
    tokenizer = copy.deepcopy(clean.tokenizer)
    tokenizer.padding_side = "right"

    def write(model: Any, rows: Sequence[Any], *, use_cache: bool) -> list[str]:
        return _write_padded(tokenizer, model, rows, mask=True, use_cache=use_cache)

    return replace(clean, generate=in_batches(write))


@defect(
    "encoder-decoder-left-padded",
    "generation",
    reference="translator",
    symptom="Outputs depend on the batch; in reinforcement learning the KL estimate turns negative.",
    source="https://github.com/huggingface/trl/pull/262",
)
def left_padding(clean: Pipeline) -> Pipeline:
    """The tokenizer of an encoder-decoder is set to pad on the left, as is right for decoders alone."""
    tokenizer = copy.deepcopy(clean.tokenizer)
    tokenizer.padding_side = "left"
    return translator.make_pipeline(tokenizer, name=clean.name)


@defect(
    "attention-mask-missing",
    "generation",
    reference="causal",
    symptom="The text of a row depends on which rows it is batched with.",
    source="https://github.com/QwenLM/Qwen3/issues/26",
)
def no_mask(clean: Pipeline) -> Pipeline:
    """Pad is EOS and generate() gets input ids alone, so padding is read like text."""
    tokenizer = copy.deepcopy(clean.tokenizer)
    tokenizer.pad_token = tokenizer.eos_token

    def write(model: Any, rows: Sequence[Any], *, use_cache: bool) -> list[str]:
        return _write_padded(tokenizer, model, rows, mask=False, use_cache=use_cache)

    return replace(clean, generate=in_batches(write))


@defect(
    "prompt-kept-in-prediction",
    "generation",
    reference="causal",
    symptom="Overlap scores are too good or too bad, for a part of the source is scored with the output.",
    source="https://github.com/axolotl-ai-cloud/axolotl/pull/3990",
)
def prompt_kept(clean: Pipeline) -> Pipeline:
    """The prompt is cut off by its own length, though the batch is padded on the left."""

    def write(model: Any, rows: Sequence[Any], *, use_cache: bool) -> list[str]:
        prompts = causal.encode_prompts(clean.tokenizer, rows)
        batch = causal.prompt_batch(clean.tokenizer, rows)
        ids = model.generate(
            **batch, max_new_tokens=seq2seq.LONGEST, do_sample=False, use_cache=use_cache,
            pad_token_id=clean.tokenizer.pad_token_id,
        )  # fmt: skip
        new = [row[len(prompt) :] for row, prompt in zip(ids, prompts, strict=True)]
        return [text.strip() for text in clean.tokenizer.batch_decode(new, skip_special_tokens=True)]

    return replace(clean, generate=in_batches(write))


@defect(
    "forced-bos-not-used-in-eval",
    "generation",
    reference="translator",
    symptom="Outputs are in another language; BLEU is 2 to 5.",
    source="https://github.com/huggingface/transformers/pull/41521",
)
def language_not_forced(clean: Pipeline) -> Pipeline:
    """The target language stands before each label, but the checkpoint's generation config forces none."""

    def make_model(seed: int = 0) -> Any:
        model = clean.make_model(seed)  # type: ignore[misc]
        model.generation_config.forced_bos_token_id = None
        return model

    return replace(clean, make_model=make_model)


@defect(
    "beam-score-normalised-with-prompt",
    "generation",
    reference="causal",
    symptom="Beam search prefers other lengths than meant, and the choice depends on the batch.",
    source="https://github.com/huggingface/transformers/issues/26624",
)
def score_per_whole_length(clean: Pipeline) -> Pipeline:
    """Beams are ranked by their log-likelihood over the length of prompt, padding and new tokens together."""
    tokenizer = clean.tokenizer

    def generate_scored(
        model: Any, rows: Sequence[Any], *, length_penalty: float = 1.0, beams: int = 3
    ) -> list[tuple[list[int], float]]:
        batch = causal.prompt_batch(tokenizer, rows)
        with torch.inference_mode():
            found = model.generate(
                **batch, num_beams=beams, num_return_sequences=beams, max_new_tokens=12, do_sample=False,
                return_dict_in_generate=True, output_scores=True, pad_token_id=tokenizer.pad_token_id,
            )  # fmt: skip
            steps = model.compute_transition_scores(
                found.sequences, found.scores, found.beam_indices, normalize_logits=False
            )
        scores = steps.sum(1) / found.sequences.shape[1] ** length_penalty
        best = scores.reshape(-1, beams).argmax(1) + beams * torch.arange(len(rows))
        start = batch["input_ids"].shape[1]
        return [
            (seq2seq.up_to_first(found.sequences[index, start:].tolist(), tokenizer.eos_token_id), float(scores[index]))
            for index in best
        ]

    return replace(clean, generate_scored=generate_scored)


@defect(
    "sampling-leaks-into-eval",
    "generation",
    reference="seq2seq",
    symptom="Results vary from run to run and are lower than those of greedy decoding.",
    source="https://github.com/huggingface/lighteval/issues/559",
)
def sampling_by_config(clean: Pipeline) -> Pipeline:
    """The checkpoint's generation config asks for sampling, and the evaluation does not say otherwise."""

    def make_model(seed: int = 0) -> Any:
        model = clean.make_model(seed)  # type: ignore[misc]
        model.generation_config.do_sample = True
        model.generation_config.temperature = 1.0
        return model

    def write(model: Any, rows: Sequence[Any], *, use_cache: bool) -> list[str]:
        batch = seq2seq.prompt_batch(clean.tokenizer, rows)
        ids = model.generate(**batch, max_new_tokens=seq2seq.LONGEST, use_cache=use_cache)
        return [text.strip() for text in clean.tokenizer.batch_decode(ids, skip_special_tokens=True)]

    return replace(clean, make_model=make_model, generate=in_batches(write))


@defect(
    "kv-cache-changes-output",
    "generation",
    reference="causal",
    symptom="Outputs are garbage with the cache and fine without.",
    source="https://github.com/meta-pytorch/torchtune/issues/959",
)
def mask_sliced_with_the_ids(clean: Pipeline) -> Pipeline:
    """A decoding loop by hand slices the mask to the last column together with the ids, and positions with it."""
    tokenizer = clean.tokenizer

    def write(model: Any, rows: Sequence[Any], *, use_cache: bool) -> list[str]:
        batch = causal.prompt_batch(tokenizer, rows)
        ids, mask = batch["input_ids"], batch["attention_mask"]
        start, cache = ids.shape[1], None
        open_rows = torch.ones(len(ids), dtype=torch.bool)
        for _ in range(seq2seq.LONGEST):
            inputs = {"input_ids": ids, "attention_mask": mask}
            if cache is not None:
                inputs = {name: value[:, -1:] for name, value in inputs.items()}
            positions = inputs["attention_mask"].cumsum(1) - 1
            step = model(**inputs, position_ids=positions.clamp(min=0), past_key_values=cache, use_cache=use_cache)
            cache = step.past_key_values if use_cache else None
            token = step.logits[:, -1].argmax(-1).where(open_rows, torch.tensor(tokenizer.pad_token_id))
            ids = torch.cat([ids, token[:, None]], dim=1)
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
            open_rows &= token != tokenizer.eos_token_id
            if not open_rows.any():
                break
        return [text.strip() for text in tokenizer.batch_decode(ids[:, start:], skip_special_tokens=True)]

    return replace(clean, generate=in_batches(write))


@defect(
    "continuation-scored-off-by-one",
    "generation",
    reference="causal",
    symptom="Short choices are nearly ignored: of a choice of one token nothing is scored.",
    source="https://github.com/allenai/OLMo/pull/643",
)
def last_token_dropped(clean: Pipeline) -> Pipeline:
    """The ids are shortened by one for the model's input, and the continuation is taken from what is left."""

    def score_continuation(model: Any, context: str, continuation: str) -> float:
        read = clean.tokenizer(context)["input_ids"]
        query = (read + clean.tokenizer(continuation, add_special_tokens=False)["input_ids"])[:-1]
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([query])).logits[0].log_softmax(-1)
        return sum(float(logits[place - 1, query[place]]) for place in range(len(read), len(query)))

    return replace(clean, score_continuation=score_continuation)


@defect(
    "label-verbaliser-token-collision",
    "generation",
    reference="verbaliser",
    symptom="One class is never predicted, and another always.",
    source="",
)
def first_piece_alone(clean: Pipeline) -> Pipeline:
    """Labels are told apart by the first piece of their names, which two of them share."""
    tokenizer = clean.tokenizer
    pieces = {label: tokenizer(" " + label, add_special_tokens=False)["input_ids"][0] for label in verbaliser.LABELS}

    def classify(model: Any, rows: Sequence[Any]) -> list[str]:
        answers = []
        for row in rows:
            with torch.inference_mode():
                logits = model(**tokenizer(causal.write_prompt(row), return_tensors="pt")).logits[0, -1]
            answers.append(max(pieces, key=lambda label: float(logits[pieces[label]])))
        return answers

    return replace(clean, classify=classify)
