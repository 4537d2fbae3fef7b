"""What learns under a strategy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class Pupil(ABC):
    """What learns: a model that can be asked for each of the tasks. It never changes; who teaches it gets another."""

    @abstractmethod
    def for_task(self, name: str) -> PreTrainedModel:
        """The model as it answers for one task: a copy, in eval mode."""

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Write the weights into a folder, as safetensors."""

    @abstractmethod
    def restore(self, folder: Path) -> Self:
        """The pupil that `save` wrote, which learned the same curriculum."""
