"""The checks of generation and decoding: on clean pipelines, and on bugs that are in no catalogue."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from harness.checks.check import Status
from harness.checks.evidence import Evidence
from harness.checks.generating import listen, padding_of
from harness.checks.likelihood import close, token_logprobs
from harness.checks.pipeline import Pipeline
from harness.defects.generation import in_batches
from harness.defects.reference import causal, models, seq2seq, tokenizers, verbaliser
from tests.checks.planted import audit_with, checks_of, complaints, failures

CHECKS = checks_of("generation", "decoding")
CAUSAL, SEQ2SEQ, VERBALISER = causal.PIPELINE, seq2seq.PIPELINE, verbaliser.PIPELINE


def by_hand(tokenizer: Any, *, cached: bool) -> Callable[..., list[str]]:
    """A right greedy loop in plain torch, as generate part."""

    def write(model: Any, rows: Sequence[Any], *, use_cache: bool) -> list[str]:
        batch = causal.prompt_batch(tokenizer, rows)
        ids, mask, cache = batch["input_ids"], batch["attention_mask"], None
        start = ids.shape[1]
        is_open = torch.ones(len(ids), dtype=torch.bool)
        for _ in range(seq2seq.LONGEST):
            positions = (mask.cumsum(1) - 1).clamp(min=0)
            new = ids if cache is None else ids[:, -1:]
            step = model(
                new, attention_mask=mask, position_ids=positions[:, -new.shape[1] :], past_key_values=cache,
                use_cache=cached and use_cache,
            )  # fmt: skip
            cache = step.past_key_values if cached and use_cache else None
            token = step.logits[:, -1].argmax(-1).where(is_open, torch.tensor(tokenizer.pad_token_id))
            ids = torch.cat([ids, token[:, None]], dim=1)
            mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
            is_open &= token != tokenizer.eos_token_id
            if not is_open.any():
                break
        return [text.strip() for text in tokenizer.batch_decode(ids[:, start:], skip_special_tokens=True)]

    return in_batches(write)


CLEAN = {
    "marian": lambda: seq2seq.make_pipeline(tokenizers.t5_tokenizer(), models.make_marian),
    "gpt2": lambda: causal.make_pipeline(tokenizers.causal_tokenizer(), models.make_gpt2),
    "loop with cache": lambda: replace(CAUSAL, generate=by_hand(CAUSAL.tokenizer, cached=True)),
    "loop without cache": lambda: replace(CAUSAL, generate=by_hand(CAUSAL.tokenizer, cached=False)),
    "beams": lambda: replace(SEQ2SEQ, generate=beams),
    "classified by writing": lambda: replace(VERBALISER, classify=write_label),
}


def beams(model: Any, rows: Sequence[Any], batch_size: int = 8) -> list[str]:
    """Beam search of the reference, without an option for the cache."""
    outputs: list[str] = []
    for start in range(0, len(rows), batch_size):
        batch = seq2seq.prompt_batch(SEQ2SEQ.tokenizer, rows[start : start + batch_size])
        ids = model.generate(**batch, num_beams=3, max_new_tokens=seq2seq.LONGEST, do_sample=False)
        outputs += SEQ2SEQ.tokenizer.batch_decode(ids, skip_special_tokens=True)
    return outputs


def write_label(model: Any, rows: Sequence[Any]) -> list[str]:
    """Prompted classification that lets the model write, and looks the label up in what it wrote."""
    tokenizer = CAUSAL.tokenizer
    batch = causal.prompt_batch(tokenizer, rows)
    ids = model.generate(**batch, max_new_tokens=8, do_sample=False, pad_token_id=tokenizer.pad_token_id)
    texts = tokenizer.batch_decode(ids[:, batch["input_ids"].shape[1] :], skip_special_tokens=True)
    return [next((label for label in verbaliser.LABELS if label in text), "none") for text in texts]


@pytest.mark.parametrize("name", CLEAN)
def test_honest_pipelines_pass(name: str) -> None:
    """Other shapes, decoding loops by hand, beam search and labels that are written bring no complaint."""
    report = audit_with(CLEAN[name](), CHECKS)
    assert complaints(report) == []
    assert report.counts[Status.PASSED] >= 2


def no_mask(clean: Pipeline) -> Pipeline:
    """An encoder-decoder that attends to padding; with ids alone, transformers 4 would make a mask of them."""

    def write(model: Any, rows: Sequence[Any], *, use_cache: bool) -> list[str]:
        ids = seq2seq.prompt_batch(clean.tokenizer, rows)["input_ids"]
        written = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=64, do_sample=False, use_cache=use_cache
        )
        return list(clean.tokenizer.batch_decode(written, skip_special_tokens=True))

    return replace(clean, generate=in_batches(write))


def dropout_on(clean: Pipeline) -> Pipeline:
    """Outputs of a model in training mode."""

    def generate(model: Any, rows: Sequence[Any]) -> list[str]:
        model.train()
        ids = model.generate(**seq2seq.prompt_batch(clean.tokenizer, rows), max_new_tokens=64, do_sample=False)
        return list(clean.tokenizer.batch_decode(ids, skip_special_tokens=True))

    return replace(clean, generate=generate)


def whole_text(clean: Pipeline) -> Pipeline:
    """A decoder's prompt is not cut off at all."""

    def write(model: Any, rows: Sequence[Any], *, use_cache: bool) -> list[str]:
        batch = causal.prompt_batch(clean.tokenizer, rows)
        ids = model.generate(**batch, max_new_tokens=64, do_sample=False, use_cache=use_cache, pad_token_id=0)
        return list(clean.tokenizer.batch_decode(ids, skip_special_tokens=True))

    return replace(clean, generate=in_batches(write))


def cut_at_ten(clean: Pipeline) -> Pipeline:
    """A limit of ten tokens was left in from a quick try."""

    def write(model: Any, rows: Sequence[Any], *, use_cache: bool) -> list[str]:
        batch = seq2seq.prompt_batch(clean.tokenizer, rows)
        ids = model.generate(**batch, max_new_tokens=10, do_sample=False, use_cache=use_cache)
        return list(clean.tokenizer.batch_decode(ids, skip_special_tokens=True))

    return replace(clean, generate=in_batches(write))


def sampled(clean: Pipeline) -> Pipeline:
    """Sampling is asked for in the call, at a low temperature."""

    def generate(model: Any, rows: Sequence[Any], use_cache: bool = True) -> list[str]:  # noqa: FBT001, FBT002
        batch = causal.prompt_batch(clean.tokenizer, rows)
        ids = model.generate(**batch, max_new_tokens=32, do_sample=True, temperature=0.3, pad_token_id=0)
        return list(clean.tokenizer.batch_decode(ids[:, batch["input_ids"].shape[1] :], skip_special_tokens=True))

    return replace(clean, generate=generate)


def first_token_lost(clean: Pipeline) -> Pipeline:
    """A continuation's first token is taken for the last one of the context."""

    def score(model: Any, context: str, continuation: str) -> float:
        read = clean.tokenizer(context)["input_ids"]
        said = clean.tokenizer(continuation, add_special_tokens=False)["input_ids"]
        return sum(token_logprobs(model, [*read, said[0]], said[1:])) if said[1:] else 0.0

    return replace(clean, score_continuation=score)


def without_space(clean: Pipeline) -> Pipeline:
    """Labels are scored without the space that stands before them in training."""

    def classify(model: Any, rows: Sequence[Any]) -> list[str]:
        def score(row: Any, label: str) -> float:
            return causal.score_continuation(clean.tokenizer, model, causal.write_prompt(row), label)

        return [max(verbaliser.LABELS, key=lambda label: score(row, label)) for row in rows]

    return replace(clean, classify=classify)


VARIANTS = {
    "no mask": (no_mask, SEQ2SEQ, "outputs-do-not-depend-on-the-batch", "attention-mask-missing"),
    "dropout": (dropout_on, SEQ2SEQ, "evaluating-twice-gives-the-same-outputs", "dropout-active-in-eval"),
    "whole text": (whole_text, CAUSAL, "an-empty-answer-stays-empty", "prompt-kept-in-prediction"),
    "cut at ten": (cut_at_ten, SEQ2SEQ, "the-output-is-what-the-model-says", "eval-generation-length-default-20"),
    "sampled": (sampled, CAUSAL, "evaluating-twice-gives-the-same-outputs", "sampling-leaks-into-eval"),
    "first token": (first_token_lost, CAUSAL, "continuations-are-scored-whole", "continuation-scored-off-by-one"),
    "no space": (
        without_space, VERBALISER, "a-sure-model-is-classified-right", "label-verbaliser-token-collision",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", VARIANTS)
def test_bugs_of_no_catalogue_are_caught_and_named(name: str) -> None:
    """Each kind of bug is seen in other clothes too, by the check that is meant for it."""
    plant, reference, check, suspect = VARIANTS[name]
    found = failures(audit_with(plant(reference), [entry for entry in CHECKS if entry.name == check]))
    assert found[check][0] == suspect


def test_a_least_length_is_no_kept_prompt() -> None:
    """A model that must write ten tokens cannot answer with nothing, so the check of empty answers is skipped."""

    def write(model: Any, rows: Sequence[Any], *, use_cache: bool) -> list[str]:
        batch = seq2seq.prompt_batch(SEQ2SEQ.tokenizer, rows)
        ids = model.generate(**batch, min_new_tokens=10, max_new_tokens=64, do_sample=False, use_cache=use_cache)
        return list(SEQ2SEQ.tokenizer.batch_decode(ids, skip_special_tokens=True))

    report = audit_with(replace(SEQ2SEQ, generate=in_batches(write)), CHECKS)
    status = {result.check.name: result.status for result in report.results}
    assert status["an-empty-answer-stays-empty"] is Status.SKIPPED
    assert complaints(report) == []


def test_what_is_no_text_is_the_parts_error() -> None:
    """A generate part that returns ids is told what is expected, by each check that calls it."""
    report = audit_with(replace(SEQ2SEQ, generate=lambda model, rows: [[1, 2]] * len(rows)), CHECKS)
    errors = [result.seen for result in report.results if result.status is Status.ERROR]
    assert errors
    assert all("expected a list of texts" in seen for seen in errors)


def test_padding_is_seen_where_it_is() -> None:
    """The side of the padding and the presence of a mask are those of the batch that was generated from."""
    rows = [{"input": "a", "target": "b"}, {"input": "a b c d e f g", "target": "b"}]
    for pipeline, side in ((CAUSAL, "left"), (SEQ2SEQ, "right")):
        evidence = Evidence(pipeline)
        assert padding_of(evidence, evidence.model(), rows) == (side, True)
    evidence = Evidence(no_mask(SEQ2SEQ))
    assert padding_of(evidence, evidence.model(), rows) == ("right", False)


def test_listening_ends_with_its_block() -> None:
    """Within the block each call of generate is heard with its settings; behind it the model is as before."""
    model: Any = SEQ2SEQ.make_model(0)  # type: ignore[misc]
    with listen(model) as heard:
        model.generate(torch.tensor([[5, 6, 1]]), max_new_tokens=3)
    model.generate(torch.tensor([[5, 6, 1]]), max_new_tokens=4)
    (call,) = heard
    assert call.settings["max_new_tokens"] == 3
    assert call.read is not None
    assert call.read.tolist() == [[5, 6, 1]]
    assert "generate" not in vars(model)


@pytest.mark.parametrize("pipeline", [CAUSAL, SEQ2SEQ], ids=["causal", "seq2seq"])
def test_log_probabilities_are_those_of_the_models_own_loss(pipeline: Pipeline) -> None:
    """Minus the mean log-probability of the supervised tokens is the loss that transformers computes."""
    evidence = Evidence(pipeline)
    model = evidence.model()
    (feature,) = evidence.features(evidence.rows(1))
    said = [label for label in feature["labels"] if label >= 0]
    read = feature["input_ids"] if pipeline is SEQ2SEQ else feature["input_ids"][: -len(said)]
    found = token_logprobs(model, read, said)
    with torch.no_grad():
        loss = float(evidence.loss(model, evidence.batch([feature])))
    assert -sum(found) / len(found) == pytest.approx(loss, rel=1e-4)


def test_close_is_relative() -> None:
    """Scores are equal within a thousandth of their size, or of 1 where they are smaller."""
    assert close(1000.5, 1000.0)
    assert not close(1002.0, 1000.0)
    assert not close(0.002, 0.0)
