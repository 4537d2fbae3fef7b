"""Does a row mean the same whoever shares its batch, and however much it is padded?"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from harness.checks.check import CheckFailed, CheckSkipped, check
from harness.checks.evidence import Evidence
from harness.checks.supervision import row_of
from harness.tasks.task import IGNORE_INDEX

TOLERANCE = 1e-3
"""Relative difference of two float32 numbers that should be equal."""
ROWS = 4

Batch = Mapping[str, torch.Tensor]


@check("I13", "labels", needs=("encode", "collate"))
def padding_is_masked_and_holds_no_minus_100(evidence: Evidence) -> str:
    """Model inputs hold token ids only, masks 0 and 1 only, and as many tokens are unmasked as a row has."""
    features, batch = _unequal_batch(evidence)
    vocabulary = _vocabulary(evidence)
    for name in ("input_ids", "decoder_input_ids"):
        ids = batch.get(name)
        if ids is not None and ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < vocabulary:
            raise CheckFailed(
                f"{name} lie between {int(ids.min())} and {int(ids.max())}; ids below {vocabulary} and from 0 exist.",
                suspects=("minus100-in-model-inputs", "wrong-tokenizer-for-model"),
                remedy="Pad inputs with the pad token and labels with -100, never the other way round.",
            )
    mask = batch.get("attention_mask")
    if mask is None:
        return f"{len(features)} rows, no mask"
    values = sorted(set(mask.flatten().tolist()))
    if mask.ndim == 2 and not set(values) <= {0, 1}:  # noqa: PLR2004 - (batch, length); others are additive
        raise CheckFailed(
            f"The attention mask holds {values[:4]}; only 0 and 1 mean something.",
            suspects=("minus100-in-model-inputs",),
            remedy="Pad the attention mask with 0.",
        )
    if mask.ndim == 2:  # noqa: PLR2004
        _judge_mask(evidence, features, batch)
    return f"{len(features)} rows of {int(mask.shape[-1])} places"


@check("I3", "labels", needs=("encode", "collate", "make_model"))
def a_row_does_not_depend_on_its_batch(evidence: Evidence) -> str:
    """Loss and logits of a row are the same alone and padded; a batch loses a mean of its rows, in any order."""
    features, batch = _unequal_batch(evidence)
    if "start_positions" in batch:
        raise CheckSkipped("an answer is looked for among all places of a batch, padding included")
    model = evidence.model().float()
    losses = []
    for number, feature in enumerate(features):
        alone, padded = evidence.batch([feature]), row_of(batch, number)
        with torch.no_grad():
            before, after = float(evidence.loss(model, alone)), float(evidence.loss(model, padded))
            moved = _logits_moved(model, alone, padded)
        places = padded["input_ids"].shape[1] - alone["input_ids"].shape[1]
        if moved is not None and moved > TOLERANCE:
            raise CheckFailed(
                f"Row {number}: with {places} places of padding its logits move by {moved:.2g}, and its loss is "
                f"{after:.4f} where it is {before:.4f} alone.",
                suspects=_who_is_read(padded, alone),
                remedy="Give the model an attention mask that is 0 at padding, and position ids that do not count it.",
            )
        if not _close(before, after):
            raise CheckFailed(
                f"Row {number}: its loss is {before:.4f} alone and {after:.4f} with {places} places of padding, though "
                "the logits are the same.",
                suspects=_who_is_counted(alone, padded),
                remedy="Take the mean over supervised tokens only: labels of padding are -100, and are not divided by.",
            )
        losses.append(after)
    _judge_whole(evidence, model, batch, losses)
    return f"{len(features)} rows alone and in a batch"


def _judge_whole(evidence: Evidence, model: torch.nn.Module, batch: Batch, rows: Sequence[float]) -> None:
    """A batch loses a mean of what its rows lose, or their sum, whatever their order."""
    turned = {name: value.flip(0) if value.ndim else value for name, value in batch.items()}
    with torch.no_grad():
        whole, backwards = float(evidence.loss(model, batch)), float(evidence.loss(model, turned))
    if not all(map(math.isfinite, (*rows, whole))):
        return  # other checks tell of rows that teach nothing
    slack = TOLERANCE * max(map(abs, rows))
    if not (min(rows) - slack <= whole <= max(rows) + slack or _close(whole, sum(rows))):
        raise CheckFailed(
            f"A batch loses {whole:.4f}, its rows alone {', '.join(f'{loss:.4f}' for loss in rows)}: that is neither a "
            "mean of them nor their sum.",
            suspects=("label-smoothing-normalised-wrong", "packing-cross-contamination"),
            remedy="Divide the summed loss by the supervised tokens, or by the rows, of this very batch.",
        )
    if not _close(whole, backwards):
        raise CheckFailed(
            f"A batch loses {whole:.4f}, and {backwards:.4f} with its rows in the opposite order.",
            suspects=("packing-cross-contamination",),
            remedy="Look for what one row reads of another: states, positions, labels that are shifted across rows.",
        )


def _unequal_batch(evidence: Evidence) -> tuple[list[dict[str, Any]], Batch]:
    """Features of unequal length and their batch."""

    def make() -> tuple[list[dict[str, Any]], Batch]:
        features = evidence.features(evidence.rows(8 * ROWS))
        if any(not isinstance(feature.get("input_ids"), list) for feature in features):
            raise CheckSkipped("features have no input_ids")
        by_length = sorted(range(len(features)), key=lambda number: len(features[number]["input_ids"]))
        spread = [by_length[place * (len(by_length) - 1) // max(1, ROWS - 1)] for place in range(ROWS)]
        chosen = [features[number] for number in dict.fromkeys(spread)]
        batch = evidence.batch(chosen)
        if "input_ids" not in batch or batch["input_ids"].shape[0] != len(chosen):
            raise CheckSkipped("rows are not what the batch has in its first dimension")
        if any(not torch.equal(batch[name], value) for name, value in evidence.batch(chosen).items()):
            raise CheckSkipped("collate draws at random, so two batches cannot be compared")
        return chosen, batch

    return evidence.remember("unequal batch", make)


def _vocabulary(evidence: Evidence) -> int:
    """How many token ids there are."""
    if evidence.has("make_model"):
        embedding = getattr(evidence.model(), "get_input_embeddings", lambda: None)()
        if embedding is not None:
            return int(embedding.weight.shape[0])
    if evidence.has("tokenizer"):
        return len(evidence.part("tokenizer"))
    raise CheckSkipped("neither model nor tokenizer says how many ids there are")


def _judge_mask(evidence: Evidence, features: Sequence[Mapping[str, Any]], batch: Batch) -> None:
    """Each row has as many unmasked places as it has tokens of its own."""
    for number, feature in enumerate(features):
        own = sum(feature["attention_mask"]) if feature.get("attention_mask") else len(feature["input_ids"])
        row = batch["attention_mask"][number]
        seen = int(row.sum())
        if seen > own and len(row) > own:
            raise CheckFailed(
                f"Row {number} has {own} tokens and {seen} places of its attention mask are 1: padding is read.",
                suspects=("minus100-in-model-inputs", "attention-mask-missing"),
                remedy="Pad the attention mask with 0, and make it from lengths, not from the values of ids.",
            )
        if seen < own and len(row) >= own:
            raise CheckFailed(
                f"Row {number} has {own} tokens and only {seen} places of its attention mask are 1: text is not read.",
                suspects=("mask-inferred-from-token-value", "minus100-in-model-inputs"),
                remedy="Make the attention mask from lengths: a text may hold the token that pads.",
            )


def _logits_moved(model: torch.nn.Module, alone: Batch, padded: Batch) -> float | None:
    """How far the logits of a row's own places move by padding, relative to their size; nothing where unknown."""
    outputs = []
    for batch in (alone, padded):
        try:
            logits = getattr(model(**batch), "logits", None)
        except (TypeError, ValueError):  # a batch may hold what only the user's loss understands
            return None
        if not isinstance(logits, torch.Tensor):
            return None
        outputs.append(logits[0])
    first, second = (_own_places(logits, batch) for logits, batch in zip(outputs, (alone, padded), strict=True))
    if first.shape != second.shape or not first.numel():
        return None
    return float((first - second).abs().max() / first.abs().max().clamp(min=1e-6))


def _own_places(logits: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The logits where a row has tokens, by its mask, or text to write, by its labels; all where neither fits."""
    labels, mask = batch.get("labels"), batch.get("attention_mask")
    if logits.ndim == 2 and mask is not None and mask.shape[1] == len(logits):  # noqa: PLR2004 - (length, vocabulary)
        return logits[mask[0] == 1]
    if logits.ndim == 2 and labels is not None and labels.ndim == 2 and labels.shape[1] == len(logits):  # noqa: PLR2004
        return logits[labels[0] != IGNORE_INDEX]
    return logits


def _who_is_read(padded: Batch, alone: Batch) -> tuple[str, ...]:
    """Suspects where padding changes what the model computes."""
    mask = padded.get("attention_mask")
    if mask is None:
        return ("attention-mask-missing", "minus100-in-model-inputs")
    if int(mask.sum()) > int(alone["attention_mask"].sum()):
        return ("minus100-in-model-inputs", "attention-mask-missing")
    if int(mask[0, 0]) == 0:
        return ("encoder-decoder-left-padded", "right-padding-in-decoder-only-batch")
    return ("attention-mask-missing", "minus100-in-model-inputs")


def _who_is_counted(alone: Batch, padded: Batch) -> tuple[str, ...]:
    """Suspects where padding changes the loss alone."""
    labels = [batch.get("labels") for batch in (alone, padded)]
    if all(label is not None for label in labels):
        few, many = (int((label != IGNORE_INDEX).sum()) for label in labels if label is not None)
        if many > few:
            return ("seq2seq-pad-not-masked", "label-smoothing-normalised-wrong")
    return ("label-smoothing-normalised-wrong", "crf-pads-as-class-zero", "seq2seq-pad-not-masked")


def _close(first: float, second: float) -> bool:
    """Whether two losses are equal; two that are not a number are, for other checks tell of that."""
    return math.isclose(first, second, rel_tol=TOLERANCE, abs_tol=1e-6) or (math.isnan(first) and math.isnan(second))
