"""The importance of weights for a task: the Fisher information, recomputed row by row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from harness.checks.check import CheckFailed, PartError, check
from harness.checks.consolidation import task_model
from harness.checks.evidence import Evidence
from harness.checks.recorder import without_dropout

FITS = 0.02
"""Relative error up to which a Fisher information equals the recomputed one, up to one factor for all."""
FITS_SAMPLED = 0.5
"""The same for one that samples labels, as the mean of `SAMPLES` calls."""
SAMPLES = 16
SPREAD = 1e-5
"""Relative spread below which the values of a tensor are one number."""

Tensors = dict[str, torch.Tensor]


@check("I2", "multitask", needs=("make_model", "multitask.tasks", "multitask.loss", "multitask.fisher"))
def fisher_is_the_mean_of_squared_gradients(evidence: Evidence) -> str:
    """The Fisher information is, weight by weight, the mean of the rows' squared gradients, for any batch size."""
    model, task, rows = task_model(evidence)
    with without_dropout(model):
        found = read_fisher(evidence, model, task, rows)
        gradients = [row_gradients(evidence, model, task, row, tuple(found)) for row in rows]
        empirical = _mean([_squares(gradient) for gradient in gradients])
        require_one_value_a_weight(found, empirical)
        wanted = {"the rows' squared gradients": empirical}
        expected = expected_fisher(evidence, model, task, rows, tuple(found))
        if expected is not None:
            wanted["their expectation over the model's own labels"] = expected
        sampled = misfit(found, read_fisher(evidence, model, task, rows, draw=1)) > FITS
        if sampled:
            found = _mean([read_fisher(evidence, model, task, rows, draw=draw) for draw in range(SAMPLES)])
        elif evidence.accepts("multitask.fisher", "batch_size"):
            require_equal_batches(*(read_fisher(evidence, model, task, rows, batch_size=n) for n in (1, len(rows))))
    misfits = {what: misfit(found, values) for what, values in wanted.items()}
    best = min(misfits, key=lambda what: misfits[what])
    ratio = _size(found) / _size(wanted[best])
    if misfits[best] > (FITS_SAMPLED if sampled else FITS):
        raise CheckFailed(
            f"It differs by {misfits[best]:.0%} from {best} ({len(rows)} rows), and by "
            f"{misfit(found, _squares(_mean(gradients))):.0%} from the squared mean gradient; "
            f"its sum is {ratio:.2g} of what it should be.",
            suspects=("ewc-fisher-from-batch-gradient", "ewc-fisher-collapsed-shape"),
            remedy="Square the gradient of each row and then take the mean; a batch's gradient cancels out.",
        )
    return f"{len(found)} tensors, {misfits[best]:.1%} from {best}, {ratio:.2g} times their sum"


def require_one_value_a_weight(found: Tensors, right: Tensors) -> None:
    """Make sure that each tensor has a value for each weight.

    Raises:
        CheckFailed: one has another shape than its parameter, or is one number where the right values differ.
    """
    flat = [name for name, value in found.items() if not _varies_like(value, right[name])]
    if flat:
        raise CheckFailed(
            f"{len(flat)} of {len(found)} tensors have no value for each weight: {flat[0]} has shape "
            f"{tuple(found[flat[0]].shape)} for a parameter of shape {tuple(right[flat[0]].shape)}, and a spread of "
            f"{_spread(found[flat[0]]):.1e}.",
            suspects=("ewc-fisher-collapsed-shape",),
            remedy="Average squared gradients over rows only; keep the shape of the parameter.",
        )


def require_equal_batches(single: Tensors, whole: Tensors) -> None:
    """Make sure that batches of one row and one batch of all rows give the same.

    Raises:
        CheckFailed: they do not.
    """
    change, ratio = misfit(whole, single), _size(whole) / _size(single)
    if change > FITS or abs(ratio - 1) > FITS:
        raise CheckFailed(
            f"In one batch its sum is {ratio:.2g} times that with batches of 1 row, and it differs by {change:.0%}.",
            suspects=("ewc-fisher-from-batch-gradient",),
            remedy="Square the gradient of each row, not that of a batch; divide by the number of rows.",
        )


def read_fisher(
    evidence: Evidence, model: torch.nn.Module, task: str, rows: Sequence[Any], *, draw: int = 0, **options: Any
) -> Tensors:
    """The user's Fisher information.

    Raises:
        PartError: its names are not those of the model's parameters.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(draw)
        found = evidence.call("multitask.fisher", model, task, rows, **options)
    known = dict(model.named_parameters())
    if not isinstance(found, Mapping) or not found or not set(found) <= set(known):
        raise PartError("multitask.fisher returned no mapping of the model's parameter names to tensors.")
    model.zero_grad()
    return {name: torch.as_tensor(value).detach().float() for name, value in found.items()}


def row_gradients(evidence: Evidence, model: torch.nn.Module, task: str, row: Any, names: Sequence[str]) -> Tensors:
    """The gradient of the loss of one row."""
    return _gradients(evidence.call("multitask.loss", model.eval(), task, [row]), model, names)


def expected_fisher(
    evidence: Evidence, model: torch.nn.Module, task: str, rows: Sequence[Any], names: Sequence[str]
) -> Tensors | None:
    """The Fisher information over labels as the model itself expects them; nothing where logits carry no gradient."""
    if not evidence.has("multitask.predict"):
        return None
    terms = []
    for row in rows:
        logits = evidence.call("multitask.predict", model.eval(), task, [row])
        if not logits.requires_grad or logits.shape[:-1] != (1,):
            return None
        for chance in logits[0].log_softmax(-1):
            squares = _squares(_gradients(chance, model, names))
            terms.append({name: float(chance.exp()) * square for name, square in squares.items()})
    return {name: sum((term[name] for term in terms), torch.zeros(())) / len(rows) for name in names}


def misfit(found: Tensors, right: Tensors) -> float:
    """Relative error of all values together, after the one factor that fits best."""
    first = torch.cat([found[name].flatten() for name in right])
    second = torch.cat([right[name].flatten() for name in right])
    if not float(first.norm()) or not float(second.norm()):
        return 1.0
    factor = (first @ second) / (second @ second)
    return float((first - factor * second).norm() / first.norm())


def _gradients(value: torch.Tensor, model: torch.nn.Module, names: Sequence[str]) -> Tensors:
    entries = dict(model.named_parameters())
    found: tuple[torch.Tensor | None, ...] = torch.autograd.grad(
        value, [entries[name] for name in names], retain_graph=True, allow_unused=True
    )
    return {
        name: torch.zeros_like(entries[name]) if gradient is None else gradient.detach()
        for name, gradient in zip(names, found, strict=True)
    }


def _squares(tensors: Tensors) -> Tensors:
    return {name: entry**2 for name, entry in tensors.items()}


def _mean(many: Sequence[Tensors]) -> Tensors:
    return {name: torch.stack([one[name] for one in many]).mean(0) for name in many[0]}


def _size(tensors: Tensors) -> float:
    return max(sum(float(entry.sum()) for entry in tensors.values()), 1e-30)


def _varies_like(found: torch.Tensor, right: torch.Tensor) -> bool:
    """Whether a tensor has the shape of another, and is not one number where that is not."""
    return found.shape == right.shape and (_spread(found) > SPREAD or _spread(right) <= SPREAD)


def _spread(tensor: torch.Tensor) -> float:
    """Standard deviation over mean; 0 for one value."""
    return float(tensor.std() / tensor.abs().mean().clamp(min=1e-30)) if tensor.numel() > 1 else 0.0
