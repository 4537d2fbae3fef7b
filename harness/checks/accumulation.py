"""Is the gradient of an optimizer step the same however its rows are divided into batches?

The weights are held still and dropout is off, so the gradients that the user's own loop hands to its optimizer can be
compared. How the loss is averaged, over tokens or over rows, is the user's choice: dividing must not change it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from harness.checks.check import CheckFailed, CheckSkipped, check
from harness.checks.evidence import Evidence, Row
from harness.checks.recorded_run import feature_ids, model_to_train, sequences, train
from harness.checks.recorder import IGNORED, Recording, record, without_dropout

TOLERANCE = 0.02
"""Largest relative difference of two gradients that rounding explains, bfloat16 included; float32 gives about 1e-6."""
SCALE_TOLERANCE = 0.2
"""Largest relative difference of the last window's size; dividing by 4 instead of by 3 gives 0.25."""
WINDOW = 4

Gradients = Mapping[str, torch.Tensor]


@check("I3", "training", needs=("make_model", "train"))
def accumulated_gradient_is_that_of_one_batch(evidence: Evidence) -> str:
    """Eight rows of unequal length give one gradient, as 8 batches of 1, as 4 of 2 and as 1 of 8."""
    evidence.require("train", "batch_size", "accumulation")
    rows = rows_of_lengths(evidence, (1, 3, 1, 2, 1, 4, 1, 2))
    features = evidence.features(rows) if evidence.has("encode") else []
    if any("start_positions" in feature for feature in features):
        raise CheckSkipped(
            "the loss of a span runs over the padding of its batch too, so it depends on the others in it"
        )
    count = len(features) or len(rows)
    whole = held_still(evidence, rows, batch_size=count, accumulation=1)
    for size in (1, 2):
        parts = held_still(evidence, rows, batch_size=size, accumulation=math.ceil(count / size))
        if len(whole.steps) != 1 or len(parts.steps) != 1:
            raise CheckFailed(
                f"{count} features in one window are one optimizer step; there were {len(parts.steps)} for batches of "
                f"{size} and {len(whole.steps)} for one batch.",
                suspects=("grad-accum-partial-window", "last-partial-batch-dropped"),
                remedy="Take an optimizer step after each window of batches, the last one included.",
            )
        found = compare(parts.steps[0].gradients, whole.steps[0].gradients)
        if found.difference > TOLERANCE:
            again = held_still(evidence, rows, batch_size=count, accumulation=1)
            if compare(again.steps[0].gradients, whole.steps[0].gradients).difference > TOLERANCE:
                raise CheckSkipped("the same rows give another gradient each time, so gradients cannot be compared")
            _fail(found, size, count, count_labels(parts), count_labels(whole))
    return (
        f"{count} features, {len(whole.steps[0].gradients)} gradients, largest relative difference below {TOLERANCE:g}"
    )


@check("I3", "training", needs=("make_model", "train", "encode"))
def last_window_counts_in_full(evidence: Evidence) -> str:
    """A last window with fewer batches than the others gives the gradient of its rows."""
    evidence.require("train", "batch_size", "accumulation")
    rows = rows_of_lengths(evidence, (1,) * (WINDOW + WINDOW // 2))
    features = feature_ids(evidence, rows)
    if len(features) != len(rows):
        raise CheckSkipped("a row gives several features, so a window of rows cannot be told")
    parts = held_still(evidence, rows, batch_size=1, accumulation=WINDOW)
    if len(parts.steps) != 2:  # noqa: PLR2004 - a full window and a shorter one
        raise CheckFailed(
            f"{len(rows)} batches in windows of {WINDOW} are 2 optimizer steps; there were {len(parts.steps)}.",
            suspects=("last-partial-batch-dropped", "grad-accum-partial-window"),
            remedy="Take a step after the last batch of an epoch too, and divide by the batches it really had.",
        )
    scales = []
    for step in (0, 1):
        read = [ids for call in parts.learning_calls if call.step == step for ids in sequences(call)]
        window = [row for row, ids in zip(rows, features, strict=True) if ids in read]
        if len(window) != len(read):
            raise CheckSkipped(
                "what the model reads in training is not what encode gives, so its rows are not recognised"
            )
        whole = held_still(evidence, window, batch_size=len(window), accumulation=1)
        if not whole.steps:
            raise CheckSkipped(f"training takes no step on {len(window)} rows")
        scales.append(compare(parts.steps[step].gradients, whole.steps[0].gradients).scale)
    full, last = scales
    if abs(last / full - 1) > SCALE_TOLERANCE:
        raise CheckFailed(
            f"With windows of {WINDOW} batches, the gradient of the last window, {WINDOW // 2} batches, is {last:.2f} "
            f"times that of its rows in one batch; that of the full window {full:.2f} times.",
            suspects=("grad-accum-partial-window", "grad-accum-mean-of-means"),
            remedy="Divide by the number of tokens, or of batches, that the window really has.",
        )
    return f"the last window of {len(rows)} batches counts {last / full:.3f} times what the full one does"


def rows_of_lengths(evidence: Evidence, lengths: Sequence[int]) -> list[Row]:
    """Rows of the user's, each with a target so many times as long as a short one; as they are without texts."""
    rows = evidence.rows(len(lengths))
    targets = [evidence.column(row, "target") for row in rows]
    if not evidence.writes_text(evidence.model()) or not all(isinstance(target, str) for target in targets):
        return rows
    short = " ".join(targets[0].split()[:6])
    return evidence.with_texts(
        [
            (evidence.column(row, "input"), " ".join([short] * length))
            for row, length in zip(rows, lengths, strict=False)
        ]
    )


def held_still(evidence: Evidence, rows: Sequence[Row], *, batch_size: int, accumulation: int) -> Recording:
    """The gradients of one epoch, each at the weights that it began with."""
    model = model_to_train(evidence).float()
    with without_dropout(model), record(model, gradients=len(rows), hold_still=True) as recording:
        train(evidence, model, rows, epochs=1, batch_size=batch_size, accumulation=accumulation)
    return recording


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """How alike two gradients are.

    Args:
        difference: norm of their difference over that of the second.
        scale: how long the first is in the direction of the second, 1 where they are equal.
        cosine: of the angle between them.
    """

    difference: float
    scale: float
    cosine: float


def compare(first: Gradients, second: Gradients) -> Likeness:
    """Compare two gradients over all parameters; one that a side lacks counts as 0.

    Raises:
        CheckSkipped: the second is 0.
    """
    product = squares = other_squares = 0.0
    for name in first.keys() | second.keys():
        shape = first[name] if name in first else second[name]
        one, two = (side.get(name, torch.zeros_like(shape)).double() for side in (first, second))
        product += float((one * two).sum())
        squares += float((one * one).sum())
        other_squares += float((two * two).sum())
    if not other_squares:
        raise CheckSkipped("the gradient is 0, so there is nothing to compare")
    apart = max(0.0, squares + other_squares - 2 * product)
    return Likeness(
        difference=(apart / other_squares) ** 0.5,
        scale=product / other_squares,
        cosine=product / (squares * other_squares) ** 0.5 if squares else 0.0,
    )


def count_labels(recording: Recording) -> int:
    """How many labels of all calls that were learned from are not ignored."""
    labels = [call.inputs["labels"] for call in recording.learning_calls if "labels" in call.inputs]
    return sum(int((entry != IGNORED).sum()) for entry in labels)


def _fail(found: Likeness, size: int, count: int, parts: int, whole: int) -> None:
    seen = (
        f"{count} features of unequal length, in batches of {size}, give a gradient of {found.scale:.3f} "
        f"times the size of that of one batch, at a cosine of {found.cosine:.4f} (relative difference "
        f"{found.difference:.2g}; rounding explains {TOLERANCE:g})."
    )
    if parts != whole:
        raise CheckFailed(
            f"{seen} In one batch {whole} labels are learned, apart {parts}: padding is among them.",
            suspects=("seq2seq-pad-not-masked", "grad-accum-mean-of-means"),
            remedy="Pad labels with -100.",
        )
    raise CheckFailed(
        seen,
        suspects=("grad-accum-mean-of-means", "grad-accum-partial-window", "label-smoothing-normalised-wrong"),
        remedy="Sum the losses of all tokens of the window and divide once, by their number, before the step.",
    )
