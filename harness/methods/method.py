"""What a method has to offer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.config import TrainingSettings
    from harness.training import Lesson, Trained


class Method(Protocol):
    """A way to adapt a model: a callable that trains a copy and returns it."""

    def __call__(self, model: PreTrainedModel, lesson: Lesson, settings: TrainingSettings) -> Trained:
        """Adapt a copy of ``model`` to the lesson; ``model`` itself must not change."""
