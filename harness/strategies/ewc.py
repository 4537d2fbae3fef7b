"""Elastic weight consolidation: weights that mattered for earlier tasks are held where they were.

Source: Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in neural networks", equation 3. For several tasks
the penalties are one: the Fisher informations are summed, and the anchor is where the last task left the weights, which
is what the Laplace approximation of one task after another comes to (Huszár 2018, "Note on the quadratic penalties in
elastic weight consolidation"; Schwarz et al. 2018, "Progress & Compress", section 3.2, here with nothing forgotten on
purpose). So what is kept does not grow with the tasks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import torch

Tensors = Mapping[str, torch.Tensor]


def select_weights(model: torch.nn.Module, names: Collection[str]) -> dict[str, torch.nn.Parameter]:
    """The weights of a model that have one of these names and may move; one that is tied stands once."""
    return {name: weight for name, weight in model.named_parameters() if name in names and weight.requires_grad}


def estimate_fisher(weights: Tensors, nats: Iterable[torch.Tensor]) -> dict[str, torch.Tensor]:
    """The diagonal of the empirical Fisher information: the mean of each row's squared gradient.

    The labels are those of the rows, not drawn from the model; near the end of training the two are alike, and this one
    needs one backward pass a row (van de Ven 2025, "On the Computation of the Fisher Information in Continual
    Learning", section 3). The square is taken of each row's gradient: in that of a batch the rows cancel each other.

    Args:
        weights: of the model.
        nats: the negative log-likelihood of each row's labels under the model in eval mode, a scalar each.

    Returns:
        For each weight a float32 tensor of its shape, in nats squared per unit squared, on the CPU.
    """
    total = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    rows = 0
    for row in nats:
        gradients = torch.autograd.grad(row, [*weights.values()], allow_unused=True)
        for name, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:
                total[name] += gradient.square()
        rows += 1
    return {name: squares.cpu() / rows for name, squares in total.items()}


def copy_weights(weights: Tensors) -> dict[str, torch.Tensor]:
    """The weights as they are now; they do not move with the model."""
    return {name: weight.detach().cpu().clone() for name, weight in weights.items()}


def make_even(importance: Tensors) -> dict[str, torch.Tensor]:
    """The same importances with a mean of 1, so that each task is held alike.

    The Fisher information of a task ends near 0 where its rows are learned by heart, and stays large where they are
    not: as it stands, it holds best what is known least, and what strength is right changes from seed to seed.

    Source: Chaudhry et al. 2018, "Riemannian Walk for Incremental Learning", section 4, which normalises it too (to at
    most 1; a mean does not hang on one weight).
    """
    total = sum(float(tensor.double().sum()) for tensor in importance.values())
    mean = total / sum(tensor.numel() for tensor in importance.values())
    return {name: tensor / mean if mean else tensor for name, tensor in importance.items()}


class Penalty(torch.nn.Module):
    """What it costs to leave an anchor: half the strength times the squared distance, each weight by its importance.

    Args:
        anchor: for each weight where it should stay.
        importance: the same names and shapes; the Fisher information.
        strength: lambda in the source.
    """

    def __init__(self, anchor: Tensors, importance: Tensors, *, strength: float) -> None:
        super().__init__()
        self.strength = strength
        self.names = tuple(anchor)
        for number, name in enumerate(self.names):
            # They move to a device with the module, and no optimizer sees them.
            self.register_buffer(f"anchor_{number}", anchor[name])
            self.register_buffer(f"importance_{number}", importance[name])

    def forward(self, weights: Tensors) -> torch.Tensor:
        """The penalty in nats, a scalar that carries a gradient.

        Args:
            weights: those of the model, by the names of the anchor.
        """
        parts = [
            (self.get_buffer(f"importance_{number}") * (weights[name] - self.get_buffer(f"anchor_{number}")).square())
            for number, name in enumerate(self.names)
        ]
        return self.strength / 2 * torch.stack([part.sum() for part in parts]).sum()
