"""Does saving keep the model: all that was learned, in a process that knows nothing else?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from harness.checks.check import CheckFailed, PartError, check
from harness.checks.evidence import Evidence
from harness.checks.fresh import call_fresh
from harness.checks.recorded_run import recorded_run
from harness.checks.recorder import changed_parameters, state_of

TOLERANCE = 1e-3
"""Largest difference of logits that writing and reading in the same number format explains, relative to the largest."""


@check("I6", "training", needs=("make_model", "train", "encode", "collate"))
def saved_model_is_the_trained_one(evidence: Evidence) -> str:
    """A trained model that is saved, and loaded in a fresh process, has the same weights and gives the same logits."""
    group = "adapters." if evidence.has("adapters.wrap") else ""
    save, load = evidence.part(f"{group}save"), evidence.part(f"{group}load")
    run = recorded_run(evidence)
    batch = evidence.batch(evidence.features(run.rows[:4]))
    with TemporaryDirectory() as name:
        save(run.trained, Path(name))
        files = sorted(path.name for path in Path(name).rglob("*") if path.is_file())
        base = [evidence.model()] if group else []
        loaded, found = call_fresh(load_and_run, load, [*base, Path(name)], batch)
    trained = state_of(run.trained)
    moved = {
        name
        for name, entry in trained.items()
        if (was := run.value_before(name)) is not None and not torch.equal(was, entry)
    }
    lost = sorted(moved & changed_parameters(loaded, trained) | moved - loaded.keys())
    expected = logits_of(run.trained.eval(), batch)
    apart = float((found - expected).abs().max() / expected.abs().max()) if found.shape == expected.shape else 1.0
    if apart > TOLERANCE:
        raise CheckFailed(
            f"Loaded in a fresh process, the logits differ by {apart:.2g}, relative to the largest. {len(lost)} of "
            f"{len(moved)} tensors that training changed come back otherwise"
            + (f", such as {', '.join(lost[:3])}." if lost else ".")
            + f" Files: {', '.join(files[:4])}.",
            suspects=(
                "head-not-saved-with-adapter",
                "adapter-keys-silently-ignored",
                "best-checkpoint-not-loaded",
            ),
            remedy="Save every parameter that was trained, and let loading fail for missing and unexpected keys.",
        )
    return f"{len(moved)} changed tensors, logits {apart:.1g} apart"


def load_and_run(
    load: Callable[..., Any], places: Sequence[Any], batch: Mapping[str, torch.Tensor]
) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """The weights of a loaded model and its logits for a batch."""
    model = load(*places)
    if not isinstance(model, torch.nn.Module):
        raise PartError(f"load returned a {type(model).__name__}; expected a model.")
    return state_of(model), logits_of(model.eval(), batch)


def logits_of(model: torch.nn.Module, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The logits of a batch, float32: those of QA's start and end in one.

    Raises:
        PartError: the model returns none.
    """
    with torch.no_grad():
        output = model(**batch)
    named = output if isinstance(output, Mapping) else {}
    found = [value.float() for name, value in named.items() if name.endswith("logits")]
    if not found:
        raise PartError(f"The model returned a {type(output).__name__} without logits.")
    return torch.cat([value.flatten() for value in found])
