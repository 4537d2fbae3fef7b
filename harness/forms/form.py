"""What a form has to offer so that the straight path can run it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from harness.config import Experiment
from harness.data.rows import Row
from harness.generation.engine import Resolved
from harness.metrics.metric import Output
from harness.tasks.task import Collator, EncodedRow, Task

if TYPE_CHECKING:
    from harness.lesson import Loss
    from harness.models.loading import LoadedModel
    from harness.tasks.labels import LabelReport


@dataclass(frozen=True, kw_only=True)
class Form(ABC):
    """A task put to one kind of model: its head, its labels, its loss, and how an output is read from it.

    Args:
        task: what is learned.
        experiment: has the settings.
    """

    task: Task
    experiment: Experiment
    smooths: ClassVar[bool] = False
    """Whether the loss of `make_loss` smooths labels."""

    @abstractmethod
    def load(self, rows: Sequence[Row]) -> LoadedModel:
        """Load the experiment's model with the head the task needs.

        Args:
            rows: the training rows; they know which labels there are.

        Raises:
            ModelError: there is no such model, or it cannot have that head.
            DataError: the rows have no labels to choose from.
        """

    @abstractmethod
    def encode(self, rows: Sequence[Row], loaded: LoadedModel) -> list[EncodedRow]:
        """Turn rows into token ids and labels; nothing is padded yet.

        Raises:
            DataError: a row cannot be put to this model; the message names it.
        """

    @property
    @abstractmethod
    def encoding(self) -> dict[str, bool | int | str]:
        """The settings that decide how a row is encoded, and no others: arms are compared by them."""

    @abstractmethod
    def make_collator(self, loaded: LoadedModel) -> Collator:
        """The function that pads training examples to a batch."""

    @abstractmethod
    def audit(
        self, rows: Sequence[Row], encoded: Sequence[EncodedRow], loaded: LoadedModel, collator: Collator
    ) -> LabelReport:
        """Collate the rows as training does and make sure that the labels mean the targets.

        Raises:
            LabelError: they do not.
        """

    def make_loss(self, loaded: LoadedModel, encoded: Sequence[EncodedRow]) -> Loss | None:
        """The loss of a batch, where it is another than the model's own."""
        return None

    def name_parts(self, predict: Callable[..., list[str]]) -> dict[str, Callable[..., Any]]:
        """What checks of a pipeline may ask of this form besides: name of the part to the part.

        Args:
            predict: ``(model, records, *, batch_size) -> outputs``.
        """
        return {}

    @abstractmethod
    def resolve(self, loaded: LoadedModel) -> Resolved:
        """The settings that decide the outputs, every default filled in."""

    @abstractmethod
    def predict(
        self, loaded: LoadedModel, rows: Sequence[Row], encoded: Sequence[EncodedRow], settings: Resolved
    ) -> list[Output]:
        """The output of each row, in order.

        Args:
            loaded: the model; it is not changed.
            rows: the evaluation rows.
            encoded: the same as token ids.
            settings: resolved settings, the same for both arms.
        """
