"""Do base and adapters stay apart: the base without an adapter, and each adapter without the ones before it?"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

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
    sample_batch,
)
from harness.checks.check import CheckFailed, PartError, check
from harness.checks.evidence import Evidence
from harness.checks.liveness import stands_on_other_base

ADAPTERS = 2
"""Saved adapters that are compared with each other."""


@check("I7", "peft", needs=(*NEEDS, "adapters.baseline"))
def adapter_off_is_the_base(evidence: Evidence) -> str:
    """What is scored as the base gives the logits of a freshly made base."""
    run = run_adapter(evidence)
    given = fresh_base(evidence)
    model = excited(run)
    if evidence.has("adapters.save") and evidence.has("adapters.load"):
        model, _ = reload(evidence, model, given)
    batch = sample_batch(evidence)
    tuned, base = logits_of(model, batch), logits_of(run.base, batch)
    scored = evidence.call("adapters.baseline", model, base=given)
    found = _logits_as_scored(scored, model, batch)
    off, on = difference(found, base), difference(found, tuned)
    if off <= TOLERANCE:
        return f"logits differ by {off:.1e} from a fresh base, with the adapter by {difference(tuned, base):.1e}"
    names = ("base-model-mutated-in-place", "adapter-still-on-for-baseline")
    seen = f"The logits scored as the base's differ by {off:.1e} from a fresh base"
    if on > TOLERANCE:
        raise CheckFailed(
            f"{seen}, and by {on:.1e} from the tuned model.",
            suspects=(*_suspect_drift(run, model), *names),
            remedy="Score a freshly loaded base; compare the hash of the base's weights before and after training.",
        )
    raise CheckFailed(
        f"{seen} and by {on:.1e} from the tuned model: the adapter is on.",
        suspects=names if scored is given else names[::-1],
        remedy="Score the base inside `with model.disable_adapter():`, or load a second one: wrapping changes it.",
    )


@check("I7", "peft", needs=(*NEEDS, "adapters.save", "adapters.load", "adapters.load_each"))
def adapters_compared_in_turn_equal_each_alone(evidence: Evidence) -> str:
    """Each of several saved adapters gives the logits in a comparison that it gives when loaded alone."""
    run = run_adapter(evidence)
    tuned = [excited(run, seed=number) for number in range(ADAPTERS)]
    with TemporaryDirectory() as name:
        folders = [Path(name) / f"adapter-{number}" for number in range(ADAPTERS)]
        for model, folder in zip(tuned, folders, strict=True):
            folder.mkdir()
            evidence.call("adapters.save", model, folder)
        alone = [
            logits_of(evidence.call("adapters.load", fresh_base(evidence), folder), run.batch) for folder in folders
        ]
        in_turn = [
            logits_of(as_model(model, "adapters.load_each"), run.batch)
            for model in evidence.call("adapters.load_each", fresh_base(evidence), folders)
        ]
    if len(in_turn) != ADAPTERS:
        raise PartError(f"adapters.load_each gave {len(in_turn)} models for {ADAPTERS} folders.")
    saved = [logits_of(model, run.batch) for model in tuned]
    gaps = [  # where loading alone is what fails, that is another check's matter
        min(difference(found, one), difference(found, other))
        for found, one, other in zip(in_turn, alone, saved, strict=True)
    ]
    if max(gaps) > TOLERANCE:
        raise CheckFailed(
            f"Loaded one after another, the adapters differ by {', '.join(f'{gap:.1e}' for gap in gaps)} "
            "from each loaded alone.",
            suspects=("adapters-stacked-twice", "base-model-mutated-in-place"),
            remedy="Load each adapter onto a fresh base, or unload the one before; "
            "collect scores while each model is the loaded one.",
        )
    return f"{ADAPTERS} adapters, logits differ by at most {max(gaps):.1e} from each alone"


def _suspect_drift(run: AdapterRun, model: torch.nn.Module) -> tuple[str, ...]:
    """Why the base under an adapter is no longer the base: it was trained, or loading put other weights there."""
    if run.moved & set(run.own):
        return ("extra-parameters-trainable",)
    loaded_otherwise = stands_on_other_base(model, run) and not stands_on_other_base(run.tuned, run)
    return ("merged-and-adapter-both-loaded",) if loaded_otherwise else ()


def _logits_as_scored(scored: Any, model: torch.nn.Module, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The logits under what the baseline part returned: a model, or a context in which the model is the base."""
    if isinstance(scored, torch.nn.Module):
        return logits_of(scored, batch)
    if not hasattr(scored, "__enter__"):
        return logits_of(model, batch)
    with scored:
        return logits_of(model, batch)
