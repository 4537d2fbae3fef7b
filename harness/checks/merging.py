"""Does an adapter survive: being saved and loaded, merged, and compared with others one after another?"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from pathlib import Path

import torch

from harness.checks.adapter_run import (
    NEEDS,
    TOLERANCE,
    AdapterRun,
    as_model,
    difference,
    excited,
    fresh_base,
    logits_of,
    reload,
    run_adapter,
)
from harness.checks.check import CheckFailed, check
from harness.checks.evidence import Evidence
from harness.checks.layers import Kind, Relation, layer_changes, relations, tell_relations
from harness.checks.liveness import restored, stands_on_other_base, suspects_of_lost

FULL_WEIGHTS = ("model.safetensors", "pytorch_model.bin")
ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")


@check(
    "I6", "peft", needs=("make_model", "encode", "collate", "train", "adapters.wrap", "adapters.save", "adapters.load")
)
def saved_adapter_gives_the_same_logits(evidence: Evidence) -> str:
    """The adapter saved and loaded onto a fresh base gives the logits of the tuned model."""
    run = run_adapter(evidence)
    tuned = excited(run)
    loaded, files = reload(evidence, tuned, fresh_base(evidence))
    right = logits_of(tuned, run.batch)
    gap = difference(logits_of(loaded, run.batch), right)
    if gap <= TOLERANCE:
        return f"logits differ by {gap:.1e} from the tuned model"
    related = compare_layers(run, loaded, tuned)
    raise CheckFailed(
        f"Loaded, the logits differ by {gap:.1e} from the tuned model and by "
        f"{difference(logits_of(loaded, run.batch), logits_of(run.base, run.batch)):.1e} from the base; "
        f"{tell_relations(related)}; files: {', '.join(files) or 'none'}.",
        suspects=suspect_loading(run, tuned, loaded, related, files),
        remedy="Look at the missing and unexpected keys that loading reports, and compare each tensor with the file.",
    )


@check("I6", "peft", needs=(*NEEDS, "adapters.merge"))
def merged_adapter_gives_the_same_logits(evidence: Evidence) -> str:
    """The model with the adapter folded into its weights gives the logits of the tuned model."""
    run = run_adapter(evidence)
    tuned = excited(run)
    merged = as_model(evidence.call("adapters.merge", copy.deepcopy(tuned)), "adapters.merge").float()
    gap = difference(logits_of(merged, run.batch), logits_of(tuned, run.batch))
    if gap <= TOLERANCE:
        return f"logits differ by {gap:.1e} from the tuned model"
    related = compare_layers(run, merged, tuned)
    raise CheckFailed(
        f"Merged, the logits differ by {gap:.1e} from the tuned model and by "
        f"{difference(logits_of(merged, run.batch), logits_of(run.base, run.batch)):.1e} from the base; "
        f"{tell_relations(related)}.",
        suspects=suspect_merging(related),
        remedy="Add alpha / r x B A (transposed in a Conv1D) to the base it was trained on, in float32, "
        "and use the model that merging returns.",
    )


def compare_layers(run: AdapterRun, found: torch.nn.Module, right: torch.nn.Module) -> dict[str, Relation]:
    """How the change of each layer stands to the right one."""
    return relations(layer_changes(run.base, found), layer_changes(run.base, right))


def suspect_loading(
    run: AdapterRun,
    tuned: torch.nn.Module,
    loaded: torch.nn.Module,
    related: dict[str, Relation],
    files: Iterable[str],
) -> tuple[str, ...]:
    """What may have happened to an adapter on its way through a folder, the likeliest first."""
    names = {Path(file).name for file in files}
    both_kinds = not names.isdisjoint(FULL_WEIGHTS) and not names.isdisjoint(ADAPTER_WEIGHTS)
    kinds = {relation.kind for relation in related.values()}
    lost = (run.moved & set(run.own)) - restored(tuned, loaded, run)
    if lost:
        first = suspects_of_lost(lost, run.base)
    elif both_kinds or (stands_on_other_base(loaded, run) and kinds == {Kind.SCALED}):
        first = ("merged-and-adapter-both-loaded", "adapters-stacked-twice")
    elif stands_on_other_base(loaded, run):
        first = ("merge-changes-outputs", "merged-and-adapter-both-loaded")
    elif Kind.ABSENT in kinds:
        first = ("adapter-keys-silently-ignored",)
    elif Kind.TRANSPOSED in kinds:
        first = ("conv1d-orientation-wrong",)
    elif Kind.SCALED in kinds:
        first = ("lora-scale-not-applied",)
    elif kinds <= {Kind.EQUAL}:
        first = ("head-not-saved-with-adapter",)
    else:
        first = ("adapter-keys-silently-ignored", "adapters-stacked-twice")
    return first


def suspect_merging(related: dict[str, Relation]) -> tuple[str, ...]:
    """What may have happened to an adapter when it was merged, the likeliest first."""
    kinds = {relation.kind for relation in related.values()}
    if Kind.TRANSPOSED in kinds:
        return "conv1d-orientation-wrong", "merge-changes-outputs"
    if Kind.SCALED in kinds:
        return "lora-scale-not-applied", "merge-changes-outputs"
    return ("merge-changes-outputs",)
