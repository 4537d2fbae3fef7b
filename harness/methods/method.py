"""What a method has to offer, and what it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from harness.data.rows import Row
from harness.errors import ModelError
from harness.forms import EMBEDDED, Form
from harness.lesson import Lesson, Trained

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.config import TrainingSettings
    from harness.forms.writing import Writing
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
    """

    form: Form | None = None
    keeps_weights: bool = False
    facts: Mapping[str, float] = field(default_factory=dict)


class Method(Protocol):
    """A way to adapt a model: a callable that changes a copy and returns it."""

    def __call__(self, model: PreTrainedModel, course: Course, settings: TrainingSettings) -> Trained:
        """Adapt a copy of ``model`` to the course; ``model`` itself must not change."""


def require_writing(form: Form, what: str) -> Writing:
    """The form itself, of a model that writes text.

    Args:
        form: how the task is put to the model.
        what: what the method does with a text, as "be prompted".

    Raises:
        ModelError: the model answers by a head.
    """
    # transformers takes seconds to import; the names of the methods should not have to wait for it.
    from harness.forms.writing import Writing  # noqa: PLC0415

    if isinstance(form, Writing):
        return form
    task = form.task
    fitting = [EMBEDDED[kind] for kind in ("encoder-decoder", "causal") if kind in task.forms]
    raise ModelError(
        f'"{form.experiment.model.name}" cannot {what} for the task "{task.name}": it answers by a head.',
        why="A head reads its own input and writes no text, whatever stands before that input.",
        fix=f"Name a model that writes, as {' or '.join(fitting)}, or another method."
        if fitting
        else f'Choose another method, as method = "full": no kind of model can {what} for this task.',
    )
