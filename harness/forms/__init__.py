"""How a task is put to a kind of model: one module a form."""

from __future__ import annotations

from harness.config import Experiment
from harness.errors import ModelError
from harness.forms.form import Form
from harness.registry import Registry
from harness.tasks import TASKS

FORMS: Registry[type[Form]] = Registry(
    "form",
    {
        "causal": "harness.forms.causal:Causal",
        "encoder-decoder": "harness.forms.encoder_decoder:EncoderDecoder",
        "sequence-head": "harness.forms.sequence_head:SequenceHead",
        "span-head": "harness.forms.span_head:SpanHead",
        "token-head": "harness.forms.token_head:TokenHead",
    },
)


def choose_form(experiment: Experiment) -> Form:
    """The form of the experiment's task for the experiment's model.

    Raises:
        ModelError: the task cannot be put to this kind of model.
    """
    # transformers takes seconds to import; a user's typo should not have to wait for it.
    from harness.models.architecture import ARCHITECTURES, read_architecture

    task = TASKS[experiment.task]
    architecture = read_architecture(experiment.model)
    if architecture not in task.forms:
        fitting = [name for name in ARCHITECTURES if name in task.forms]
        raise ModelError(
            f'The task "{task.name}" cannot be put to "{experiment.model.name}", which is of the kind {architecture}.',
            why=f"It is known for: {', '.join(fitting)}.",
            fix=f"Name a model of that kind, as {', '.join(EMBEDDED[name] for name in fitting)}.",
        )
    return FORMS[task.forms[architecture]](task=task, experiment=experiment)


EMBEDDED = {"encoder-decoder": "tiny-t5", "causal": "tiny-llama", "encoder": "tiny-bert"}
"""The embedded model of each architecture."""

__all__ = ["EMBEDDED", "FORMS", "Form", "choose_form"]
