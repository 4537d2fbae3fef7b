"""The chain of an adapter's life, from requiring a gradient to a moved weight, and what became of the base."""

from __future__ import annotations

from collections.abc import Iterable

import torch

from harness.checks.adapter_run import AdapterRun, find_own, parameters_of, site_of
from harness.checks.check import CheckFailed
from harness.checks.recorder import unwrap

DEAD_SHARE = 0.25
"""Share of adapted layers that may get no gradient: a pooler or an expert that the rows do not use is no fault."""


def walk_chain(run: AdapterRun, *, named_first: str) -> None:
    """Walk the chain from requiring a gradient to a moved weight.

    Raises:
        CheckFailed: at the first broken link.
    """
    learned = run.added & run.trainable
    inner = set(dict(unwrap(run.tuned).named_parameters()))
    modules = {name for name, _ in run.base.named_modules()}

    def require(broken: Iterable[str], what: str, *suspects: str, remedy: str, share: float = 0.0) -> None:
        lost, sites = set(broken), {site_of(name, modules) for name in learned}
        dead = {site for site in sites if all(name in lost for name in learned if site_of(name, modules) == site)}
        if len(dead) > share * len(sites):
            raise CheckFailed(
                f"{len(lost)} of {len(learned)} tensors of the adapter {what}, all on {len(dead)} of {len(sites)} "
                f"modules: {', '.join(sorted(lost)[:2])}.",
                suspects=suspects,
                remedy=remedy,
            )

    if run.added and not learned:
        raise CheckFailed(
            f"None of {len(run.added)} tensors of the adapter requires a gradient.",
            suspects=("adapter-loaded-frozen",),
            remedy="Make the adapter trainable before the optimizer is made.",
        )
    steps = run.recording.steps
    if not steps:
        raise CheckFailed(
            "Training took no optimizer step.",
            suspects=("adapter-loaded-frozen",),
            remedy="Look at the number of rows, the batch size and the accumulation.",
        )
    norms: dict[str, float] = {}
    rates: dict[str, float] = {}
    for step in steps:
        for group in step.groups:
            for name in group.names:
                norms[name] = max(norms.get(name, 0.0), step.norms[name] or 0.0)
                rates[name] = max(rates.get(name, 0.0), group.learning_rate)
    if not any(name.startswith("unknown") for name in norms):
        known = learned & inner
        require(
            known - norms.keys(), "are not in the optimizer", "adapter-loaded-frozen",
            remedy="Make the optimizer after the adapter, from all parameters that require a gradient.",
        )  # fmt: skip
        require(
            (name for name in known & norms.keys() if not norms[name]), "never get a gradient",
            named_first, "adapter-loaded-frozen", share=DEAD_SHARE,
            remedy="With reentrant checkpointing call enable_input_require_grads(), or use_reentrant=False; "
            "else look for detach() and no_grad() on the way.",
        )  # fmt: skip
        require(
            (name for name in known & norms.keys() if not rates[name]), "have a learning rate of 0",
            "lr-zero-or-warmup-longer-than-run",
            remedy="Look at the optimizer's groups and the schedule.",
        )  # fmt: skip
    require(
        learned - run.moved, "did not move in training", "adapter-loaded-frozen", "bf16-update-lost", share=DEAD_SHARE,
        remedy="Return the model that was trained, and look whether steps are skipped.",
    )  # fmt: skip


def restored(tuned: torch.nn.Module, loaded: torch.nn.Module, run: AdapterRun) -> set[str]:
    """Which parameters of the base, by their names in ``tuned``, a loaded model holds as the tuned one does."""
    entries, found = parameters_of(tuned), parameters_of(loaded)
    place = {base: name for name, base in find_own(parameters_of(run.base), found).items()}
    return {name for name, base in run.own.items() if base in place and torch.equal(entries[name], found[place[base]])}


def suspects_of_lost(names: Iterable[str], base: torch.nn.Module) -> tuple[str, ...]:
    """What it is called when these parameters were trained and then lost."""
    suspects = ("head-not-saved-with-adapter", "extra-parameters-trainable")
    return suspects if all(is_head(name, base) for name in names) else suspects[::-1]


def is_head(name: str, base: torch.nn.Module) -> bool:
    """Whether a parameter belongs to the head: outside the body that transformers names, or in the last module."""
    body = getattr(base, "base_model_prefix", "")
    top = [child for child, module in base.named_children() if any(True for _ in module.parameters())]
    heads = {child for child in top if child != body} if body in top else set(top[-1:])
    return name.split(".", maxsplit=1)[0] in heads


def stands_on_other_base(model: torch.nn.Module, run: AdapterRun) -> bool:
    """Whether a model with an adapter holds other base weights than a fresh base, where training moved none."""
    base, found = parameters_of(run.base), parameters_of(model)
    still = {own for name, own in run.own.items() if name not in run.moved}
    return any(not torch.equal(found[name], base[own]) for name, own in find_own(base, found).items() if own in still)
