"""Forgetting and backward transfer, compared with their definitions on tables of scores made by hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from harness.checks.check import CheckFailed, check
from harness.checks.evidence import Evidence


@check("I11", "multitask", needs=("multitask.forgetting",))
def forgetting_matches_its_definition(evidence: Evidence) -> str:
    """Forgetting is the fall of each earlier task from its best, or from its first, score to its last."""
    return compare_with(evidence, "multitask.forgetting", FORGETTING, "forgetting")


@check("I11", "multitask", needs=("multitask.backward_transfer",))
def backward_transfer_matches_its_definition(evidence: Evidence) -> str:
    """Backward transfer is the mean of each earlier task's last score less its score when it was learned."""
    return compare_with(evidence, "multitask.backward_transfer", BACKWARD_TRANSFER, "backward transfer")


def best_less_last(scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The fall of each earlier task from its best score to its last (Chaudhry et al. 2018, section 3)."""
    fall: np.ndarray[Any, Any] = scores[:-1, :-1].max(axis=0) - scores[-1, :-1]
    return fall


def first_less_last(scores: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The fall of each earlier task from its score when it was learned (Lopez-Paz and Ranzato 2017, equation 3)."""
    fall: np.ndarray[Any, Any] = np.diag(scores)[:-1] - scores[-1, :-1]
    return fall


FORGETTING = {
    "best less last": lambda scores: float(best_less_last(scores).mean()),
    "first less last": lambda scores: float(first_less_last(scores).mean()),
    "best less last, not below 0": lambda scores: float(best_less_last(scores).clip(0).mean()),
    "first less last, not below 0": lambda scores: float(first_less_last(scores).clip(0).mean()),
}
BACKWARD_TRANSFER = {"last less first": lambda scores: -float(first_less_last(scores).mean())}
MATRICES = (
    np.array([[0.9, 0.1, 0.1], [0.5, 0.8, 0.1], [0.4, 0.6, 0.7]]),
    np.array([[0.6, 0.1, 0.1], [0.9, 0.7, 0.1], [0.5, 0.4, 0.8]]),
    np.array([[0.5, 0.1, 0.1], [0.3, 0.6, 0.1], [0.8, 0.7, 0.9]]),
    np.array([[0.7, 0.0, 0.0, 0.0], [0.9, 0.8, 0.0, 0.0], [0.2, 0.9, 0.6, 0.0], [0.5, 0.3, 0.4, 0.9]]),
)
"""Scores of each task (column) after each was learned (row): falling, risen before falling, rising, and mixed."""


def compare_with(evidence: Evidence, part: str, definitions: Mapping[str, Any], what: str) -> str:
    """Which of the definitions a part follows on every matrix.

    Raises:
        CheckFailed: it follows none.
    """
    found = [float(evidence.call(part, scores.copy())) for scores in MATRICES]
    right = {name: [formula(scores) for scores in MATRICES] for name, formula in definitions.items()}
    for name, values in right.items():
        if np.allclose(found, values, atol=1e-6):
            return f"{name}, on {len(MATRICES)} matrices"
    name = min(right, key=lambda one: float(np.abs(np.subtract(found, right[one])).sum()))
    worst = int(np.argmax(np.abs(np.subtract(found, right[name]))))
    raise CheckFailed(
        f"For {MATRICES[worst].tolist()} {what} is {found[worst]:.3f}; {name} gives {right[name][worst]:.3f}.",
        suspects=("forgetting-metric-wrong",),
        remedy="Take each task's best score before the last task and its score after it; leave the last task out.",
    )
