"""The identity guard: base and tuned must be two models, and training must leave the base alone."""

from __future__ import annotations

from harness.arm import ModelIdentity
from harness.errors import BaseChangedError, SameWeightsError


def guard_identity(
    *, base: ModelIdentity, base_after: ModelIdentity, tuned: ModelIdentity, keeps_weights: bool = False
) -> None:
    """Make sure that a comparison of base and tuned can say anything.

    Args:
        base: the base before training.
        base_after: the same object after training.
        tuned: the tuned model.
        keeps_weights: whether the method is one that changes no weight, as prompting.

    Raises:
        BaseChangedError: training changed the base.
        SameWeightsError: base and tuned have equal weights.
    """
    if base_after.weights != base.weights:
        in_place = base_after.weights == tuned.weights
        raise BaseChangedError(
            f"Training changed the base: sha256 {base.weights[:8]}… before, {base_after.weights[:8]}… after"
            f"{', the same as tuned: it was trained in place' if in_place else ''}.",
            why='Scored after training, "base" and "tuned" would be one model.',
            fix="Train a copy (copy.deepcopy) or a freshly loaded model, or let harness.fine_tune do it.",
        )
    if tuned.weights == base.weights and not keeps_weights:
        raise SameWeightsError(
            f"Base and tuned have the same weights (sha256 {base.weights[:8]}…, {base.tensors} tensors).",
            why='The comparison would always say "no change": the base was trained in place before it was loaded here, '
            "or training moved nothing (learning rate 0, no trainable weights, the wrong checkpoint).",
            fix="Load a fresh base, look at the loss curve, or let harness.run do both.",
        )
