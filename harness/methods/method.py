"""What a method has to offer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from harness.config import TrainingSettings
    from harness.tasks.task import Collator, EncodedRow
    from harness.training import Trained


class Method(Protocol):
    """A way to adapt a model: a callable that trains a copy and returns it."""

    def __call__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        rows: Sequence[EncodedRow],
        collator: Collator,
        settings: TrainingSettings,
    ) -> Trained:
        """Adapt a copy of ``model`` to ``rows``; ``model`` itself must not change."""
