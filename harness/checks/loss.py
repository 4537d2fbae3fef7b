"""Is the loss what it should be: the negative log-likelihood of each next token, and of nothing else?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch

from harness.checks.check import CheckFailed, CheckSkipped, check
from harness.checks.evidence import Evidence
from harness.checks.oracle import SURE, knowing
from harness.checks.recorder import unwrap
from harness.checks.supervision import Taught, saying, taught

ROWS = 4
TOLERANCE = 2e-3
"""Relative difference of two float32 losses that should be equal."""
SMOOTHEST = 0.5
"""More label smoothing than this is none."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A batch, what its loss teaches, and what the writing part of the model reads meanwhile.

    Args:
        batch: the user's.
        taught: by row.
        written_after: (batch, length) int64, the ids that the decoder reads, or the model where it has no encoder.
    """

    batch: Mapping[str, torch.Tensor]
    taught: Sequence[Taught]
    written_after: torch.Tensor


@check("I2", "labels", needs=("encode", "collate", "make_model"))
def each_taught_token_is_the_next_one(evidence: Evidence) -> str:
    """At each place the loss wants the token that the model reads next."""
    reading = _read(evidence)
    right = wrong = seen_already = two_ahead = 0
    for row, ids in zip(reading.taught, reading.written_after.tolist(), strict=True):
        for place, wanted in zip(row.places, row.ids, strict=True):
            if place + 1 < len(ids):
                right += wanted == ids[place + 1]
                wrong += wanted != ids[place + 1]
                seen_already += wanted == ids[place] != ids[place + 1]
                two_ahead += place + 2 < len(ids) and wanted == ids[place + 2] != ids[place + 1]
    # Behind the last label a decoder may read padding, so one place a row says nothing.
    if wrong <= len(reading.taught) or wrong < 0.1 * right:
        return f"{right} places, each with the next token"
    loss = _loss_when_knowing(evidence, reading)
    seen = f"A model that knows every next token still loses {loss:.2f} nats: at {wrong} of {wrong + right} places"
    if two_ahead > wrong / 2:
        raise CheckFailed(
            f"{seen} the loss wants another token, {two_ahead} times the one after the next.",
            suspects=("labels-shifted-twice",),
            remedy="Give labels equal to input_ids: the model shifts them. Or compute the loss without a shift.",
        )
    if seen_already > wrong / 2:
        raise CheckFailed(
            f"{seen} the loss wants another token, {seen_already} times the one that the model has just read.",
            suspects=("t5-manual-shift-drops-first-token", "labels-shifted-twice"),
            remedy="Shift once: the model must read one token less than it has to write.",
        )
    raise CheckFailed(
        f"{seen} the loss wants a token that is not the next.",
        suspects=("labels-shifted-twice", "t5-manual-shift-drops-first-token"),
        remedy="Compare labels with what the model reads, place by place.",
    )


@check("I2", "labels", needs=("encode", "collate", "make_model"))
def the_loss_is_the_mean_over_supervised_tokens(evidence: Evidence) -> str:
    """The loss is the mean NLL of supervised tokens: of equal, random and perfect logits, computed anew in float32."""
    reading = _read(evidence)
    count = sum(len(row.ids) for row in reading.taught)
    if not count:
        raise CheckSkipped("the loss teaches nothing")
    model = evidence.model().float()
    with saying(model, torch.zeros_like) as said:
        blank = float(evidence.loss(model, reading.batch))
    places, size = said[0].shape[:2].numel(), said[0].shape[2]
    share = blank / math.log(size)
    if not any(math.isclose(share, whole, rel_tol=TOLERANCE) for whole in (1, count, count / len(reading.taught))):
        raise CheckFailed(
            f"With equal logits over {size} tokens the loss is {blank:.3f}, {share:.3f} times ln({size}); {count} of "
            f"{places} places ({count / places:.3f}) are supervised.",
            suspects=("label-smoothing-normalised-wrong", "grad-accum-mean-of-means"),
            remedy="Divide by the number of supervised tokens, not by all places, and scale nothing afterwards.",
        )
    smoothing = _loss_when_right(evidence, reading) / (share * SURE * (1 - 1 / size))
    with saying(model, _speak_noise) as said:
        loss = float(evidence.loss(model, reading.batch)) / share
        expected = expected_loss(said[0].detach(), reading.taught, smoothing)
    if smoothing > SMOOTHEST or not math.isclose(loss, expected, rel_tol=TOLERANCE):
        raise CheckFailed(
            f"The loss of random logits is {loss:.4f}; computed anew it is {expected:.4f} (smoothing {smoothing:.2f}).",
            suspects=("label-smoothing-normalised-wrong", "labels-shifted-twice"),
            remedy="Give cross-entropy the raw logits in float32, once, and average it over supervised tokens.",
        )
    return f"{loss:.4f} over {count} tokens" + (f", smoothing {smoothing:.2f}" if smoothing > TOLERANCE else "")


@check("I2", "labels", needs=("encode", "collate", "make_model", "generate"))
def the_decoder_starts_alike_in_training_and_generation(evidence: Evidence) -> str:
    """The first token that the decoder reads is the same when it learns and when it generates."""
    if not evidence.is_encoder_decoder(evidence.model()):
        raise CheckSkipped("the model has no decoder of its own")
    trained = {row[0] for row in _read(evidence).written_after.tolist()}
    model = evidence.model()
    with overhear(model, stop=True) as heard, suppress(Heard):
        evidence.generate(model, evidence.rows(ROWS))
    if not heard:
        raise CheckSkipped("generation was not heard to call the decoder with ids")
    used = set(heard[0][:, 0].tolist())
    forced = {getattr(getattr(unwrap(model), "generation_config", None), "forced_bos_token_id", None)}
    if trained in (used, forced):
        return f"both start with token {trained.pop()}"
    names = ("train-generate-decoder-start-mismatch", "t5-manual-shift-drops-first-token")
    raise CheckFailed(
        f"In training the decoder starts with {sorted(trained)}, in generation with {sorted(used)}.",
        suspects=names if len(trained) == 1 else names[::-1],
        remedy="Set decoder_start_token_id once, in config and generation_config, and let the model shift the labels.",
    )


class Heard(BaseException):
    """The decoder was called, and that was all there was to know."""


@contextmanager
def overhear(model: torch.nn.Module, *, stop: bool = False) -> Iterator[list[torch.Tensor]]:
    """The ids that a model's decoder reads within the block, call by call; of the model itself without an encoder.

    Args:
        model: a model of transformers.
        stop: raise `Heard` at the first call.
    """
    inner: Any = unwrap(model)
    encoder_decoder = bool(getattr(inner.config, "is_encoder_decoder", False))
    listened = inner.get_decoder() if encoder_decoder else inner
    heard: list[torch.Tensor] = []

    def listen(module: torch.nn.Module, args: Any, kwargs: Mapping[str, Any]) -> None:
        ids = kwargs.get("input_ids", args[0] if args else None)
        if isinstance(ids, torch.Tensor) and ids.ndim == 2:  # noqa: PLR2004 - (batch, length)
            heard.append(ids.detach().clone())
            if stop:
                raise Heard

    handle = listened.register_forward_pre_hook(listen, with_kwargs=True)
    try:
        yield heard
    finally:
        handle.remove()


def _read(evidence: Evidence) -> Reading:
    """The user's first rows, what their loss teaches and what is read meanwhile."""

    def read() -> Reading:
        model = evidence.model().float().requires_grad_(requires_grad=False)
        if not hasattr(unwrap(model), "get_output_embeddings") or not evidence.writes_text(unwrap(model)):
            raise CheckSkipped("the model writes no text")
        batch = evidence.batch(evidence.features(evidence.rows(ROWS)))
        with overhear(model) as heard:
            rows = taught(evidence, model, batch)
        if len(heard) != 1 or len(heard[0]) != len(rows):
            raise CheckSkipped("it was not heard what the model reads while it learns")
        return Reading(batch=batch, taught=rows, written_after=heard[0])

    return evidence.remember("reading", read)


def _loss_when_knowing(evidence: Evidence, reading: Reading) -> float:
    """The loss when the model says at each place what it reads next."""
    model = evidence.model().float()
    ids = reading.written_after
    nothing = torch.full_like(ids[:, :1], -1)
    with torch.no_grad(), knowing(model, lambda _: torch.cat([ids[:, 1:], nothing], 1)):
        return float(evidence.loss(model, reading.batch))


def _loss_when_right(evidence: Evidence, reading: Reading) -> float:
    """The loss when the model says at each place what is taught there: 0 without label smoothing."""
    wanted = torch.full_like(reading.written_after, -1)
    for row, found in enumerate(reading.taught):
        wanted[row, list(found.places)] = torch.tensor(found.ids, dtype=torch.int64)
    model = evidence.model().float()
    with torch.no_grad(), knowing(model, lambda _: wanted):
        return float(evidence.loss(model, reading.batch))


def expected_loss(logits: torch.Tensor, rows: Sequence[Taught], smoothing: float) -> float:
    """The negative log-likelihood of what is taught, by the weights with which it is, mixed with label smoothing.

    Args:
        logits: (batch, length, vocabulary) float32.
        rows: what is taught in each row.
        smoothing: share of the mean over the vocabulary; Szegedy et al. (CVPR 2016), section 7.
    """
    spoken = -logits.log_softmax(-1)
    total = sum(sum(row.weights) for row in rows)
    loss = 0.0
    for row, values in zip(rows, spoken, strict=True):
        for place, wanted, weight in zip(row.places, row.ids, row.weights, strict=True):
            token, flat = float(values[place, wanted]), float(values[place].mean())
            loss += weight / total * ((1 - smoothing) * token + smoothing * flat)
    return loss


def _speak_noise(logits: torch.Tensor) -> torch.Tensor:
    """Logits that differ widely and are the same at each call."""
    return 3 * torch.randn(logits.shape, generator=torch.Generator().manual_seed(0))
