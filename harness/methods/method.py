"""What a method has to offer, and what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from harness.data.rows import Row
from harness.forms import Form
from harness.lesson import Lesson, Trained
from harness.metrics.metric import Table

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.config import TrainingSettings
    from harness.models.loading import LoadedModel


@dataclass(frozen=True, kw_only=True)
class Course(Lesson):
    """A lesson and where it comes from, for methods that need more than labels.

    Args:
        form: how the task is put to the model; ``form.experiment`` has the method's own settings.
        rows: the training rows, of which ``features`` was made.
        loaded: the base with its name and tokenizer.
    """

    form: Form
    rows: Sequence[Row]
    loaded: LoadedModel


@dataclass(frozen=True, kw_only=True)
class Adapted(Trained):
    """A tuned model, and what else a method has to say.

    Args:
        form: how the model is asked from now on, where its weights alone do not say.
        keeps_weights: whether the weights are meant to be those of the base.
        facts: numbers of the method's own for the reports, as the size of an adapter in bytes.
        tables: those of them that are read side by side.
        warnings: what whoever reads a report must not miss, in sentences.
    """

    form: Form | None = None
    keeps_weights: bool = False
    facts: Mapping[str, float] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    warnings: tuple[str, ...] = ()


class MethodWarning(UserWarning):
    """A method warns of what became of the model; reports show the same sentence."""


class Method(Protocol):
    """A way to adapt a model: a callable that changes a copy and returns it."""

    def __call__(self, model: PreTrainedModel, course: Course, settings: TrainingSettings) -> Trained:
        """Adapt a copy of ``model`` to the course; ``model`` itself must not change."""
