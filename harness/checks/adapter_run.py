"""One run of a user's adapter, that the checks of adapters share: which tensors it added, and how they were trained."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from harness.checks.check import CheckSkipped, PartError
from harness.checks.evidence import Evidence
from harness.checks.recorder import Recording, changed_parameters, record, unwrap

NOISE = 0.05
"""Standard deviation of the noise that makes an adapter differ visibly from the base, however little it was trained."""
NEEDS = ("make_model", "encode", "collate", "train", "adapters.wrap")
"""The parts that a run takes."""
TOLERANCE = 1e-4
"""Largest difference of logits that float32 rounding explains, relative to the largest logit: a merged weight rounds
once where base and adapter round apart, about 1e-6 in a small model and 1e-5 in one of many layers."""


@dataclass(frozen=True, kw_only=True)
class AdapterRun:
    """A base, the user's adapter on it, and what training did; names are those inside a PEFT wrapper.

    Args:
        base: a fresh base that nothing was done to.
        batch: a few rows as the model takes them.
        own: name in the wrapped model of each parameter of the base, and its name there.
        added: parameters that the adapter added.
        trainable: parameters that required a gradient when training began.
        moved: parameters that training changed.
        before: all values before training.
        recording: what the optimizers did.
        tuned: the trained model.
    """

    base: torch.nn.Module = field(repr=False)
    batch: dict[str, torch.Tensor] = field(repr=False)
    own: dict[str, str]
    added: frozenset[str]
    trainable: frozenset[str]
    moved: frozenset[str]
    recording: Recording = field(repr=False)
    tuned: torch.nn.Module = field(repr=False)


def run_adapter(evidence: Evidence) -> AdapterRun:
    """Wrap a fresh base and train the adapter on a few rows, once an audit."""
    return evidence.remember("adapter run", lambda: train_adapter(evidence, wrap_base(evidence)))


def wrap_base(evidence: Evidence) -> torch.nn.Module:
    """The user's adapter on a fresh base."""
    return as_model(evidence.call("adapters.wrap", fresh_base(evidence)), "adapters.wrap")


def fresh_base(evidence: Evidence) -> torch.nn.Module:
    """A base in float32: in 16 bit, merging moves logits and that is expected."""
    return evidence.model().float()


def train_adapter(evidence: Evidence, wrapped: torch.nn.Module) -> AdapterRun:
    """Train a model with an adapter, and describe what happened."""
    base = fresh_base(evidence)
    rows = evidence.rows(8)
    own = find_own(parameters_of(base), parameters_of(wrapped))
    before = {name: entry.detach().clone() for name, entry in parameters_of(wrapped).items()}
    trainable = frozenset(name for name, entry in parameters_of(wrapped).items() if entry.requires_grad)
    tuned = wrapped
    with record(wrapped) as recording:
        if trainable:  # else the backward pass would raise, and hide what is wrong
            tuned = evidence.train(wrapped, rows, epochs=2, batch_size=4, seed=evidence.seed).cpu().eval()
    return AdapterRun(
        base=base,
        batch=sample_batch(evidence),
        own=own,
        added=frozenset(before) - frozenset(own),
        trainable=trainable,
        moved=frozenset(changed_parameters(before, parameters_of(tuned))),
        recording=recording,
        tuned=tuned,
    )


def sample_batch(evidence: Evidence) -> dict[str, torch.Tensor]:
    """Four rows as the model takes them."""
    return evidence.batch(evidence.features(evidence.rows(4)))


def excited(run: AdapterRun, seed: int = 0) -> torch.nn.Module:
    """A copy of the tuned model with noise on all that was to be learned: losing any of it shows in the logits.

    Raises:
        CheckSkipped: nothing was to be learned.
    """
    learned = run.moved | (run.added & run.trainable)
    if not learned:
        raise CheckSkipped("no tensor of the adapter can learn")
    model = copy.deepcopy(run.tuned)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, entry in parameters_of(model).items():
            if name in learned:
                entry.add_(torch.randn(entry.shape, generator=generator), alpha=NOISE)
    return model.eval()


def reload(evidence: Evidence, model: torch.nn.Module, base: torch.nn.Module) -> tuple[torch.nn.Module, list[str]]:
    """A model whose adapter was saved and loaded onto ``base``, and the files that were written."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        evidence.call("adapters.save", copy.deepcopy(model), folder)
        loaded = as_model(evidence.call("adapters.load", base, folder), "adapters.load").eval()
        files = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    return loaded, files


def as_model(made: Any, part: str) -> torch.nn.Module:
    """What a part returned, if it is a model; on the CPU, for a trainer may have moved it.

    Raises:
        PartError: it is none.
    """
    if not isinstance(made, torch.nn.Module):
        raise PartError(f"{part} returned a {type(made).__name__}; expected a torch module.")
    return made.cpu()


def logits_of(model: torch.nn.Module, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
    """The logits of a batch in eval mode, flat: (values,) float32.

    Raises:
        PartError: the model returns no logits.
    """
    training = model.training
    with torch.no_grad():
        output = model.eval()(**batch)
    model.train(training)
    if not isinstance(output, torch.Tensor):
        values = output if isinstance(output, Mapping) else vars(output)
        found = [value for name, value in values.items() if name.endswith("logits") and isinstance(value, torch.Tensor)]
        if not found:
            raise PartError(f"The model returned a {type(output).__name__} without logits.")
        output = torch.cat([value.flatten() for value in found])
    return output.float().flatten()


def difference(first: torch.Tensor, second: torch.Tensor) -> float:
    """Largest difference of two sets of logits, relative to the largest of the second; infinite for other shapes."""
    if first.shape != second.shape or not torch.isfinite(first).all():
        return float("inf")
    return float((first - second).abs().max() / second.abs().max().clamp(min=1.0))


def parameters_of(model: torch.nn.Module) -> dict[str, torch.nn.Parameter]:
    """All parameters, by their names inside a PEFT wrapper; what only the wrapper holds by its name there."""
    inner = dict(unwrap(model).named_parameters())
    known = set(map(id, inner.values()))
    return inner | {name: entry for name, entry in model.named_parameters() if id(entry) not in known}


def find_own(base: Mapping[str, torch.Tensor], wrapped: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Which parameters of a wrapped model are those of its base, by the base's names.

    A wrapper may put names of its own between those of the base, and may hold a second, trainable copy of a layer: then
    the frozen one is the base's.
    """
    by_shape: dict[tuple[int, ...], list[str]] = {}
    for name, entry in wrapped.items():
        by_shape.setdefault(tuple(entry.shape), []).append(name)
    own: dict[str, str] = {}
    for name, entry in base.items():
        alike = [other for other in by_shape.get(tuple(entry.shape), ()) if other not in own and _contains(other, name)]
        if alike:
            own[min(alike, key=lambda other: (_distance(entry, wrapped[other]), len(other)))] = name
    return own


def site_of(name: str, modules: Collection[str]) -> str:
    """The innermost module of the base under which a parameter lies."""
    parts = name.split(".")
    prefixes = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((prefix for prefix in prefixes if prefix in modules), "")


def _contains(longer: str, shorter: str) -> bool:
    parts = iter(longer.split("."))
    return all(part in parts for part in shorter.split("."))


def _distance(wanted: torch.Tensor, found: torch.Tensor) -> tuple[bool, bool]:
    return not torch.equal(wanted, found), found.requires_grad
