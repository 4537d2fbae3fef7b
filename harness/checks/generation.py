"""Checks of generation: batches, caches and repetition change nothing, and scores are what they claim to be."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import torch

from harness.checks.check import CheckFailed, CheckSkipped, PartError, check
from harness.checks.evidence import Evidence
from harness.checks.generating import closing_token, differing, listen, padding_of, quote, sensitive, uneven_rows
from harness.checks.likelihood import close, readings, token_logprobs
from harness.checks.oracle import speaking


@check("I10", "generation", needs=("generate", "make_model"))
def evaluating_twice_gives_the_same_outputs(evidence: Evidence) -> str:
    """Two evaluations of the same model give the same texts, whatever the state of the random numbers."""
    first, second, samples, training = _twice(evidence)
    wrong = differing(first, second)
    if not wrong:
        return f"{len(first)} rows, twice"
    suspects = ["sampling-leaks-into-eval", "dropout-active-in-eval"]
    if training and not samples:
        suspects.reverse()
    raise CheckFailed(
        f"{len(wrong)} of {len(first)} rows give another text the second time; row {wrong[0]}: "
        f"{quote(first[wrong[0]])}, then {quote(second[wrong[0]])}. Sampling was {'on' if samples else 'off'}, and the "
        f"model in {'training' if training else 'eval'} mode.",
        suspects=tuple(suspects),
        remedy="Evaluate with do_sample=False in the call itself, for a checkpoint's generation_config may ask for "
        "sampling, and with model.eval().",
    )


def _twice(evidence: Evidence) -> tuple[list[str], list[str], bool, bool]:
    """The outputs of two evaluations, whether they were sampled, and whether the model was in training mode."""

    def run() -> tuple[list[str], list[str], bool, bool]:
        model, rows, outputs = evidence.model(), evidence.rows(4), []
        with torch.random.fork_rng(devices=[]), listen(model) as heard:
            for seed in (1, 2):
                torch.manual_seed(seed)
                outputs.append(evidence.generate(model, rows))
        return outputs[0], outputs[1], any(call.settings.get("do_sample") for call in heard), model.training

    return evidence.remember("generated twice", run)


def _together(evidence: Evidence) -> tuple[torch.nn.Module, list[Any], list[str]]:
    """A model that is easily moved, rows of uneven length, and its outputs for all of them in one batch.

    Raises:
        CheckSkipped: outputs differ from one evaluation to the next, so there is nothing to compare.
    """
    first, second, *_ = _twice(evidence)
    if first != second:
        raise CheckSkipped("outputs differ from one evaluation to the next anyway")

    def run() -> tuple[torch.nn.Module, list[Any], list[str]]:
        model, rows = sensitive(evidence.model()), uneven_rows(evidence)
        return model, rows, evidence.generate(model, rows, batch_size=len(rows), use_cache=True)

    return evidence.remember("generated together", run)


@check("I3", "generation", needs=("generate", "make_model"))
def outputs_do_not_depend_on_the_batch(evidence: Evidence) -> str:
    """Each row gives the same text alone and in a batch with longer rows."""
    evidence.require("generate", "batch_size")
    model, rows, together = _together(evidence)
    few = rows[:-1]
    alone = evidence.generate(model, few, batch_size=1, use_cache=True)
    wrong = differing(alone, together[: len(few)])
    if not wrong:
        return f"{len(few)} rows of uneven length, alone and together"
    side, masked = padding_of(evidence, model, rows)
    wrong_side = "left" if evidence.is_encoder_decoder(model) else "right"
    suspects: list[str] = []
    if side == wrong_side:
        on_side = {"left": "encoder-decoder-left-padded", "right": "right-padding-in-decoder-only-batch"}
        suspects.append(on_side[side])
    if not masked:
        suspects.append("attention-mask-missing")
    if not suspects:
        suspects = ["kv-cache-changes-output", "attention-mask-missing", "beam-score-normalised-with-prompt"]
    raise CheckFailed(
        f"{len(wrong)} of {len(few)} rows give another text in a batch of {len(rows)} than alone; row {wrong[0]}: "
        f"{quote(alone[wrong[0]])} alone, {quote(together[wrong[0]])} in the batch. The batch was padded on the side: "
        f"{side}; an attention mask {'told' if masked else 'did not tell'} the model so.",
        suspects=tuple(suspects),
        remedy="Give generate() an attention_mask, pad prompts of a decoder on the left and inputs of an encoder on "
        "the right, and count positions from the first real token.",
    )


@check("I3", "generation", needs=("generate", "make_model"))
def the_cache_changes_nothing(evidence: Evidence) -> str:
    """Decoding with the cache of keys and values gives the same text as without."""
    evidence.require("generate", "use_cache")
    model, rows, cached = _together(evidence)
    plain = evidence.generate(model, rows, batch_size=len(rows), use_cache=False)
    wrong = differing(cached, plain)
    if not wrong:
        return f"{len(rows)} rows with and without cache"
    raise CheckFailed(
        f"{len(wrong)} of {len(rows)} rows give another text with the cache than without; row {wrong[0]}: "
        f"{quote(cached[wrong[0]])} with, {quote(plain[wrong[0]])} without.",
        suspects=("kv-cache-changes-output",),
        remedy="At each cached step pass the mask of all columns so far, and positions that go on from the last one.",
    )


@check("I2", "generation", needs=("generate_scored", "encode_prompt", "make_model"))
def beam_scores_are_the_likelihood_per_length(evidence: Evidence) -> str:
    """The score of a best beam is the log-likelihood of its new tokens over their number to the length penalty."""
    evidence.require("generate_scored", "length_penalty")
    model, rows = sensitive(evidence.model()), uneven_rows(evidence)
    prompts = evidence.call("encode_prompt", rows)
    stop = [closing_token(evidence, model)] if evidence.has("tokenizer") else []
    for penalty in (1.0, 2.0):
        beams = evidence.call("generate_scored", model, rows, length_penalty=penalty)
        for place, (prompt, beam) in enumerate(zip(prompts, beams, strict=True)):
            if not isinstance(beam, Sequence) or len(beam) != 2:  # noqa: PLR2004 - tokens and score
                raise PartError("generate_scored should return a pair of token ids and a score for each row.")
            tokens, score = _up_to_end([int(token) for token in beam[0]], stop), float(beam[1])
            if not tokens:
                continue
            # The closing token may have been cut off, and may or may not count as a part of the length.
            totals = [sum(token_logprobs(model, prompt, ending)) for ending in (tokens, [*tokens, *stop])]
            lengths = [length for length in (len(tokens) - 1, len(tokens), len(tokens) + 1) if length]
            expected = [total / length**penalty for total, length in product(totals, lengths)]
            if not any(close(score, value) for value in expected):
                raise CheckFailed(
                    f"Row {place}: the beam of {len(tokens)} new tokens behind {len(prompt)} has the score "
                    f"{score:.4f}; its log-likelihood is {totals[0]:.4f}, which over {len(tokens)}^{penalty:g} is "
                    f"{totals[0] / len(tokens) ** penalty:.4f}.",
                    suspects=("beam-score-normalised-with-prompt",),
                    remedy="Divide by the number of new tokens of the row itself, without prompt and padding.",
                )
    return f"{len(rows)} beams at the length penalties 1 and 2"


def _up_to_end(tokens: list[int], stop: list[int]) -> list[int]:
    """Tokens up to and with the first that closes; what stands behind it is padding, whatever its id."""
    return next((tokens[: place + 1] for place, token in enumerate(tokens) if token in stop), tokens)


@check("I2", "generation", needs=("score_continuation", "tokenizer", "make_model"))
def continuations_are_scored_whole(evidence: Evidence) -> str:
    """The log-likelihood of a continuation is the sum over all of its tokens, however few they are."""
    model, tokenizer = sensitive(evidence.model()), evidence.part("tokenizer")
    words = " ".join(str(evidence.column(row, "input")) for row in evidence.rows(2)).split()
    context = " ".join(words[:8])
    for continuation in (" " + words[-1], " no", " " + " ".join(words[-5:])):
        score = float(evidence.call("score_continuation", model, context, continuation))
        expected = [sum(each) for each in readings(model, tokenizer, context, continuation)]
        if not any(close(score, value) for value in expected):
            best = min(expected, key=lambda value: abs(value - score))
            raise CheckFailed(
                f"The continuation {quote(continuation)} ({len(tokenizer.tokenize(continuation))} tokens) is scored "
                f"{score:.4f}; the log-softmax of the model, summed over its tokens, gives {best:.4f}.",
                suspects=("continuation-scored-off-by-one",),
                remedy="The logits at position i predict token i + 1: score len(continuation) tokens from the last "
                "position of the context on.",
            )
    return "continuations of one and of several tokens"


@check("I13", "generation", needs=("generate", "make_model", "encode", "tokenizer"))
def outputs_begin_as_the_targets_do(evidence: Evidence) -> str:
    """Where all targets begin with a special token of their own, as a language, generation begins with it."""
    model, rows = evidence.model(), evidence.rows(4)
    if not evidence.is_encoder_decoder(model):
        raise CheckSkipped("a decoder goes on from its prompt")
    expected = _first_of_targets(evidence, model, rows)
    if expected is None:
        raise CheckSkipped("the targets begin with no special token of their own")
    tokenizer = evidence.part("tokenizer")
    other = tokenizer(text_target=str(evidence.column(rows[0], "target")), add_special_tokens=False)["input_ids"]
    with listen(model) as heard, speaking(model, [*other, closing_token(evidence, model)]):
        evidence.generate(model, rows)
    if not heard:
        raise CheckSkipped("the pipeline decodes without generate()")
    first = {int(token) for call in heard for token in call.ids[:, 1]}
    if first == {expected}:
        return f"all begin with token {expected}"
    raise CheckFailed(
        f"The targets begin with token {expected} ({tokenizer.convert_ids_to_tokens(expected)}); a model that would "
        f"say something else first is let do so: its outputs begin with {sorted(first)}. generate() forces "
        f"{heard[0].settings.get('forced_bos_token_id')}.",
        suspects=("forced-bos-not-used-in-eval", "mbart-language-code-wrong"),
        remedy="Set model.generation_config.forced_bos_token_id to the target language, or pass it to generate(); what "
        "is set in model.config or in the tokenizer is not read there.",
    )


def _first_of_targets(evidence: Evidence, model: torch.nn.Module, rows: Sequence[Any]) -> int | None:
    """The special token that the labels of all rows begin with, other than those that begin any text."""
    tokenizer = evidence.part("tokenizer")
    labels = [[label for label in feature.get("labels", []) if label >= 0] for feature in evidence.features(rows)]
    first = {row[0] if row else None for row in labels}
    common = first.pop() if len(first) == 1 else None
    usual = {tokenizer.bos_token_id, tokenizer.cls_token_id, tokenizer.pad_token_id, tokenizer.eos_token_id}
    if common is None or common in {*usual, getattr(model.config, "decoder_start_token_id", None)}:
        return None
    return common if tokenizer.decode([common], skip_special_tokens=True) == "" else None
