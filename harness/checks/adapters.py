"""Does an adapter live? From the layers it should sit on to the base that it should leave alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from tempfile import TemporaryDirectory
from typing import Any

import torch

from harness.checks.adapter_run import (
    NEEDS,
    TOLERANCE,
    difference,
    excited,
    find_own,
    fresh_base,
    logits_of,
    parameters_of,
    reload,
    run_adapter,
    site_of,
    train_adapter,
    wrap_base,
)
from harness.checks.check import CheckFailed, CheckSkipped, check
from harness.checks.evidence import Evidence
from harness.checks.liveness import restored, suspects_of_lost, walk_chain


@check("I5", "peft", needs=("make_model", "adapters.wrap"))
def adapter_reaches_its_layers(evidence: Evidence) -> str:
    """Every target pattern finds layers, and of an encoder-decoder both halves are adapted."""
    base = fresh_base(evidence)
    modules = {name for name, _ in base.named_modules()}
    wrapped = wrap_base(evidence)
    entries = parameters_of(wrapped)
    own = find_own(parameters_of(base), entries)
    added = [name for name in entries if name not in own]
    if not added:
        _accept_selection(entries)
        raise CheckFailed(
            f"wrap added no parameter to the {len(entries)} of the base.",
            suspects=("target-modules-partly-matched",),
            remedy="Print the names of the base's modules and take the target patterns from them.",
        )
    sites = sorted({site_of(name, modules) for name in added} - {""})
    counts = f"{len(added)} tensors on {len(sites)} modules ({', '.join(sites[:3])})"
    unmatched = [pattern for pattern in _target_patterns(wrapped) if not any(_targets(pattern, site) for site in sites)]
    declared = evidence.declared("trainable")
    unmatched += [pattern for pattern in declared or () if not any(re.search(pattern, name) for name in entries)]
    if unmatched:
        raise CheckFailed(
            f"The target patterns {unmatched} match no module; the adapter has {counts}.",
            suspects=("target-modules-partly-matched",),
            remedy="Names differ between architectures (q_proj, q, query, c_attn): take them from this base.",
        )
    if declared is None and evidence.is_encoder_decoder(base):
        halves = {half: sum(half in site.split(".") for site in sites) for half in ("encoder", "decoder")}
        if max(halves.values()) > 0 and min(halves.values()) == 0:
            raise CheckFailed(
                f"Adapted modules: {halves['encoder']} in the encoder, {halves['decoder']} in the decoder.",
                suspects=("target-modules-partly-matched",),
                remedy="Let the patterns match both halves, or declare trainable= if one half is meant.",
            )
    return counts


@check("I5", "peft", needs=NEEDS)
def adapter_learns(evidence: Evidence) -> str:
    """Each adapted layer requires a gradient, is in the optimizer, gets a gradient, moves, and changes the logits."""
    run = run_adapter(evidence)
    walk_chain(run, named_first="grad-checkpointing-kills-lora-grad")
    if torch.equal(logits_of(run.tuned, run.batch), logits_of(wrap_base(evidence), run.batch)):
        raise CheckFailed(
            f"After {len(run.recording.steps)} steps the logits are, bit for bit, those before training; moved are "
            f"{len(run.moved & run.added)} of {len(run.added)} tensors, as {', '.join(sorted(run.moved)[:2])}.",
            suspects=("adapter-loaded-frozen", "grad-checkpointing-kills-lora-grad"),
            remedy="Train all factors of an adapter: while one is zero the others change nothing.",
        )
    effect = difference(logits_of(excited(run), run.batch), logits_of(run.base, run.batch))
    if effect <= TOLERANCE:
        raise CheckFailed(
            f"With noise on all {len(run.added)} tensors of the adapter the logits equal the base's ({effect:.1e}).",
            suspects=("adapter-keys-silently-ignored",),
            remedy="The adapter is not active: switch it on before training and scoring.",
        )
    return f"{len(run.added)} tensors, {len(run.recording.steps)} steps, {len(run.moved & run.added)} moved"


@check("I5", "peft", needs=(*NEEDS, "adapters.save", "adapters.load"))
def loaded_adapter_learns_on(evidence: Evidence) -> str:
    """An adapter that was loaded to be trained further has the tensors of a fresh one, and all of them learn."""
    evidence.require("adapters.load", "trainable")
    run = run_adapter(evidence)
    learned = run.added & run.trainable
    if not learned:
        raise CheckSkipped("the fresh adapter has nothing to train either")
    with TemporaryDirectory() as folder:
        evidence.call("adapters.save", excited(run), folder)
        loaded = evidence.call("adapters.load", fresh_base(evidence), folder, trainable=True)
    entries = parameters_of(loaded)
    added = set(entries) - set(find_own(parameters_of(run.base), entries))
    moving = [name for name in added if entries[name].requires_grad]
    if len(moving) > len(learned):
        raise CheckFailed(
            f"The loaded adapter has {len(moving)} tensors to train, a fresh one {len(learned)}.",
            suspects=("adapters-stacked-twice",),
            remedy="Go on with the adapter that was loaded; do not wrap it once more.",
        )
    if len(moving) < len(learned):
        raise CheckFailed(
            f"Of {len(added)} loaded tensors {len(moving)} require a gradient; of a fresh adapter {len(learned)}.",
            suspects=("adapter-loaded-frozen",),
            remedy="Load it to be trained (PEFT: is_trainable=True), before the optimizer is made.",
        )
    walk_chain(train_adapter(evidence, loaded), named_first="adapter-loaded-frozen")
    return f"{len(moving)} loaded tensors learn"


@check("I7", "peft", needs=NEEDS)
def adapter_alone_is_trained(evidence: Evidence) -> str:
    """Training moves no weight of the base, but for what was declared or is saved with the adapter."""
    run = run_adapter(evidence)
    declared = evidence.declared("trainable") or ()
    moved = {name for name in run.moved & set(run.own) if not any(re.search(pattern, name) for pattern in declared)}
    if moved and evidence.has("adapters.save") and evidence.has("adapters.load"):
        tuned = excited(run)
        moved -= restored(tuned, reload(evidence, tuned, fresh_base(evidence))[0], run)
    if moved:
        raise CheckFailed(
            f"Training moved {len(moved)} of {len(run.own)} tensors of the base that are not saved with the adapter: "
            f"{', '.join(sorted(moved)[:3])}.",
            suspects=suspects_of_lost(moved, run.base),
            remedy="Freeze all that is not the adapter, or save it with the adapter (PEFT: modules_to_save).",
        )
    return f"{len(run.own)} tensors of the base, none moved that is not saved"


def _accept_selection(entries: Mapping[str, torch.nn.Parameter]) -> None:
    learning = sum(entry.requires_grad for entry in entries.values())
    if 0 < learning < len(entries):
        raise CheckSkipped(f"wrap adds nothing, it selects {learning} of {len(entries)} tensors of the base")


def _target_patterns(model: Any) -> list[str]:
    """The target patterns of a PEFT model; none of any other."""
    configs = getattr(model, "peft_config", {})
    patterns: list[str] = []
    for config in configs.values() if isinstance(configs, Mapping) else ():
        targets = getattr(config, "target_modules", None) or ()
        if not isinstance(targets, str):
            patterns += sorted(targets)
    return patterns


def _targets(pattern: str, site: str) -> bool:
    return site == pattern or site.endswith("." + pattern)
