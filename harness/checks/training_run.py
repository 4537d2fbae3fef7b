"""Does training do what it is meant to: the right weights, moved enough, for all rows alike?"""

from __future__ import annotations

import math
from collections import Counter
from typing import NamedTuple

import torch

from harness.checks.check import CheckFailed, CheckSkipped, check
from harness.checks.evidence import Evidence
from harness.checks.recorded_run import (
    EPOCHS,
    Run,
    as_text,
    count_readings,
    feature_ids,
    recorded_run,
    sequences,
)
from harness.checks.recorder import Recording, named_weights

MOVED_SHARE = 0.9
"""In float32 nearly every weight with a large gradient moves; rounding to 16 bit keeps those that should move least."""
UNUSED_SHARE = 0.5
"""Share of the meant weights that may be without any gradient, such as a pooler that the loss does not use."""


@check("I14", "training", needs=("make_model", "train"))
def losses_and_gradients_are_finite(evidence: Evidence) -> str:
    """Every loss and gradient of a training is finite, and not every gradient is 0."""
    recording = recorded_run(evidence).recording
    losses = [call.loss for call in recording.learning_calls if call.loss is not None]
    norms = [norm for step in recording.steps for norm in step.norms.values() if norm is not None]
    bad = sum(not math.isfinite(value) for value in losses), sum(not math.isfinite(value) for value in norms)
    suspects = (
        "labels-all-masked-by-truncation",
        "assistant-mask-all-zero",
        "label-smoothing-normalised-wrong",
    )
    if any(bad):
        raise CheckFailed(
            f"{bad[0]} of {len(losses)} losses and {bad[1]} of {len(norms)} gradients are infinite or not a number.",
            suspects=suspects,
            remedy="Look for batches without a single label, for a division by their number, and for a rate too high.",
        )
    if not any(norms):
        raise CheckFailed(
            f"In {len(recording.steps)} steps no parameter of {len(recording.shapes)} had a gradient other than 0.",
            suspects=suspects,
            remedy="Count the labels that are not -100 in each batch, and see that the loss depends on the weights.",
        )
    return f"{len(losses)} losses, {len(norms)} gradients"


@check("I5", "training", needs=("make_model", "train"))
def training_moves_what_is_meant(evidence: Evidence) -> str:
    """Training changes the parameters that are meant to learn, and no others."""
    run = recorded_run(evidence)
    after = named_weights(run.trained)
    changed = {name for name, entry in after.items() if not _same(run.value_before(name), entry)}
    extra = sorted(changed - run.meant)
    if extra:
        raise CheckFailed(
            f"{len(extra)} parameters changed that were not meant to, such as {', '.join(extra[:3])}; "
            f"{len(run.meant)} of {len(after)} were meant to.",
            suspects=("extra-parameters-trainable", "base-model-mutated-in-place"),
            remedy="Freeze them before the optimizer is made, or declare what is trainable.",
        )
    broken = {name: broken_link(name, run) for name in sorted(run.meant & after.keys() - changed)}
    sizes = {name: after[name].numel() for name in run.meant & after.keys()}
    unused = [name for name, link in broken.items() if link is NO_GRADIENT]
    if sum(sizes[name] for name in unused) <= UNUSED_SHARE * sum(sizes.values()):
        broken = {name: link for name, link in broken.items() if link is not NO_GRADIENT}
    if not broken or not optimized(run) <= after.keys():  # a model of other names was made of the one that learned
        return f"{len(changed)} of {len(after)} parameters moved, {len(run.meant)} were meant to"
    link = min(broken.values(), key=LINKS.index)
    names = [name for name, other in broken.items() if other is link]
    raise CheckFailed(
        f"{len(broken)} of {len(run.meant)} parameters that should learn did not change; {len(names)} of them "
        f"{link.seen}, such as {', '.join(names[:3])}.",
        suspects=link.suspects,
        remedy=link.remedy,
    )


@check("I14", "training", needs=("make_model", "train"))
def updates_are_not_rounded_away(evidence: Evidence) -> str:
    """The weights with the largest gradients move at every step, none of them too little for their number format."""
    recording = recorded_run(evidence).recording
    if len(recording.steps) == 1:
        raise CheckSkipped("training took a single step, so no update can be seen")
    moved, asked = count_moved(recording)
    if not asked:
        raise CheckSkipped("no weight had a gradient at the first step")
    rates = [step.learning_rate for step in recording.steps]
    kinds = sorted({str(entry.dtype).removeprefix("torch.") for entry in recording.first.values()})
    if moved < MOVED_SHARE * asked:
        rounded = "float32" not in kinds and max(rates) > 0
        raise CheckFailed(
            f"Of {asked} weights with large gradients {moved / asked:.0%} changed in {len(rates) - 1} steps, at rates "
            f"up to {max(rates):.2g} and in {', '.join(kinds)}.",
            suspects=("bf16-update-lost", "lr-zero-or-warmup-longer-than-run")[:: 1 if rounded else -1],
            remedy="Keep the weights in float32 (mixed precision still computes in bfloat16), or raise the rate.",
        )
    return f"{moved / asked:.1%} of {asked} weights moved, in {', '.join(kinds)}"


@check("I9", "training", needs=("make_model", "train", "encode"))
def training_reads_every_row(evidence: Evidence) -> str:
    """Every row is learned from once an epoch."""
    run = recorded_run(evidence)
    features = feature_ids(evidence, run.rows)
    copies = Counter(features)
    read = [ids for call in run.recording.learning_calls for ids in sequences(call)]
    learned = count_readings(features, read)
    if not all(any(as_text(feature) in as_text(ids) for feature in copies) for ids in set(read)):
        raise CheckSkipped("what the model reads in training is not what encode gives, so its rows are not recognised")
    scored = count_readings(
        features, [ids for call in run.recording.calls if not call.learns for ids in sequences(call)]
    )
    held_out = {ids for ids in features if not learned[ids] and scored[ids]}
    times = {ids: learned[ids] / copies[ids] for ids in copies if ids not in held_out}
    epochs = EPOCHS if evidence.accepts("train", "epochs") else max(times.values())
    tolerated = 0 if evidence.accepts("train", "epochs") else 1  # a run of so many steps may end within an epoch
    missed = sum(count < epochs - tolerated for count in times.values())
    repeated = sum(count > epochs for count in times.values())
    if missed or repeated:
        raise CheckFailed(
            f"Of {len(times)} rows {missed} were learned from less than {epochs:g} times and {repeated} more often "
            f"(from {min(times.values()):g} to {max(times.values()):g} times).",
            suspects=("last-partial-batch-dropped", "eval-rows-silently-dropped", "stale-preprocessing-cache"),
            remedy="Let the data loader keep its last batch (drop_last=False), and draw each row once an epoch.",
        )
    return f"{len(times)} rows, {epochs:g} times each"


class Link(NamedTuple):
    """A link of the chain from a parameter to its update, and what it means where it is broken."""

    seen: str
    suspects: tuple[str, ...]
    remedy: str


FROZEN = Link(
    "require no gradient",
    ("adapter-loaded-frozen", "target-modules-partly-matched", "task-never-trained"),
    "Set requires_grad before the optimizer is made (PeftModel.from_pretrained needs is_trainable=True), or declare "
    "which parameters are trainable.",
)
LEFT_OUT = Link(
    "are not in the optimizer",
    ("adapter-loaded-frozen", "adapters-stacked-twice", "head-lost-when-switching-tasks"),
    "Make the optimizer after the model is copied, wrapped and extended, from the parameters of that very model.",
)
NO_GRADIENT = Link(
    "never had a gradient",
    ("grad-checkpointing-kills-lora-grad", "labels-all-masked-by-truncation", "assistant-mask-all-zero"),
    "See that the loss depends on them; with gradient checkpointing call enable_input_require_grads().",
)
NO_RATE = Link(
    "had a learning rate of 0 at every step",
    ("lr-zero-or-warmup-longer-than-run", "lr-schedule-steps-too-fast"),
    "Print the rate at each step; a warm-up must be shorter than the run.",
)
TOO_LITTLE = Link(
    "had a gradient and a rate, yet kept their values",
    ("bf16-update-lost", "lr-zero-or-warmup-longer-than-run", "best-checkpoint-not-loaded"),
    "Keep the weights in float32, or raise the rate; and deliver the model that was trained.",
)
LINKS = (FROZEN, LEFT_OUT, NO_GRADIENT, NO_RATE, TOO_LITTLE)


def broken_link(name: str, run: Run) -> Link:
    """The first broken link between a parameter that did not move and its update."""
    steps = run.recording.steps
    if name not in run.recording.trainable:
        return FROZEN
    if name not in optimized(run):
        return LEFT_OUT
    if not any(step.norms.get(name) for step in steps):
        return NO_GRADIENT
    if not any(group.learning_rate for step in steps for group in step.groups if name in group.names):
        return NO_RATE
    return TOO_LITTLE


def optimized(run: Run) -> set[str]:
    """The parameters that an optimizer held."""
    return {name for step in run.recording.steps for group in step.groups for name in group.names}


def count_moved(recording: Recording) -> tuple[int, int]:
    """Of the weights with a large gradient at the first step, how many changed, and how many there are."""
    moved = asked = 0
    for name, gradient in recording.steps[0].gradients.items():
        if name in recording.last:
            large = (gradient.abs() >= gradient.abs().mean()) & (gradient != 0)
            moved += int((recording.first[name] != recording.last[name])[large].sum())
            asked += int(large.sum())
    return moved, asked


def _same(before: torch.Tensor | None, after: torch.Tensor) -> bool:
    """Whether a parameter kept its values, in the format that it has now; one that no optimizer held did."""
    return before is None or torch.equal(before.to(after.dtype), after.detach().cpu())
