"""What the methods of PEFT have in common: wrap a copy, train what was added, make sure that nothing else moved."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from peft import PeftConfig, PeftModel, get_peft_model, get_peft_model_state_dict
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from harness.config import Experiment, TrainingSettings
from harness.errors import SameWeightsError, SettingsError, StrayWeightsError, first_line
from harness.forms import Form
from harness.forms.writing import Writing
from harness.lesson import Lesson, Trained
from harness.methods.method import Adapted, Course
from harness.training import fine_tune

MakeConfig = Callable[[Experiment, PreTrainedModel], PeftConfig]
MakeBase = Callable[[Experiment, PreTrainedModel, Sequence[str]], PreTrainedModel]


def copy_base(experiment: Experiment, model: PreTrainedModel, heads: Sequence[str]) -> PreTrainedModel:
    """The base as it is, in a copy."""
    return copy.deepcopy(model)


@dataclass(frozen=True, kw_only=True)
class PeftMethod:
    """Trains an adapter and leaves the base alone; a head is trained and saved with it.

    The tuned model is the base with the adapter beside its weights, not merged, so that what is scored is what a folder
    with the adapter gives back.

    Args:
        name: the method's, and that of its group of settings, which has a ``learning_rate_factor``.
        make_config: from the experiment and the base to PEFT's settings.
        make_base: from the experiment, the base and the names of its heads to the copy that the adapter is put into.
    """

    name: str
    make_config: MakeConfig
    make_base: MakeBase = copy_base

    def __call__(self, model: PreTrainedModel, course: Course, settings: TrainingSettings) -> Adapted:
        """Train an adapter on a copy of ``model``.

        Raises:
            SettingsError: the settings of the method do not fit the model.
            StrayWeightsError: weights moved that are not saved with the adapter.
            SameWeightsError: the adapter did not learn.
        """
        return self.teach(self.wrap(model, course.form, seed=settings.seed), course, settings)

    def teach(self, wrapped: PeftModel, course: Course, settings: TrainingSettings) -> Adapted:
        """Train the adapter of a copy of a wrapped model, and make sure that it alone moved.

        Raises:
            StrayWeightsError: weights moved that are not saved with the adapter.
            SameWeightsError: the adapter did not learn.
        """
        trained = self.train(wrapped, course, course.form.experiment, settings)
        require_only_adapter_moved(wrapped, trained.model)
        return finish(trained)

    def wrap(self, model: PreTrainedModel, form: Form, *, seed: int) -> PeftModel:
        """A copy of ``model`` with a fresh adapter, drawn from the seed.

        Raises:
            SettingsError: no layer is meant, or the layers cannot have such an adapter.
        """
        config = self.make_config(form.experiment, model)
        return self._put_in(self.freeze(model, form), config, form, seed=seed)

    def freeze(self, model: PreTrainedModel, form: Form) -> PreTrainedModel:
        """A copy of ``model`` as it stands frozen below the adapter."""
        return self.make_base(form.experiment, model, find_heads(model, form))

    def require_fit(self, course: Course) -> None:
        """Make sure that the model has the layers that are meant, without copying a weight.

        Raises:
            SettingsError: it has not.
        """
        model, form = course.loaded.model, course.form
        self._put_in(sketch(model), self.make_config(form.experiment, model), form, seed=0)

    def _put_in(self, model: PreTrainedModel, config: PeftConfig, form: Form, *, seed: int) -> PeftModel:
        """The model itself with a fresh adapter in it."""
        config.task_type = name_task(model, form)
        config.modules_to_save = find_heads(model, form) or None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                return get_peft_model(model, config)
            except ValueError as error:  # so PEFT says that layers are not there, or of another kind
                layers = ", ".join(list_linear_layers(model))
                raise SettingsError(
                    f"The adapter does not fit the model: {first_line(error)}.",
                    fix=f"Set {self.name}.targets to ends of its layers' names, as {layers}.",
                ) from error

    def train(
        self, wrapped: PreTrainedModel, lesson: Lesson, experiment: Experiment, settings: TrainingSettings
    ) -> Trained:
        """Train a copy of a wrapped model at this method's rate; what is frozen stays as it is."""
        return fine_tune(wrapped, lesson, self.scale_rate(experiment, settings))

    def scale_rate(self, experiment: Experiment, settings: TrainingSettings) -> TrainingSettings:
        """The settings with the learning rate of this method in place of that of full fine-tuning."""
        factor = getattr(experiment, self.name).learning_rate_factor
        return settings.model_copy(update={"learning_rate": settings.learning_rate * factor})


def sketch(model: PreTrainedModel) -> PreTrainedModel:
    """A copy of a model whose tensors have shapes and no contents."""
    weights = {id(weight): torch.nn.Parameter(weight.to("meta")) for weight in model.parameters()}
    return copy.deepcopy(model, memo={**weights, **{id(buffer): buffer.to("meta") for buffer in model.buffers()}})


def find_heads(model: PreTrainedModel, form: Form) -> list[str]:
    """The modules beside the pretrained body: they may be new, so they must learn and be saved with the adapter.

    A model that writes text has none: its output layer is pretrained.
    """
    if isinstance(form, Writing):
        return []
    beside = [name for name, module in model.named_children() if name != model.base_model_prefix]
    inside = [name for name, _ in model.base_model.named_children() if name == "pooler"]
    return [name for name in beside if any(True for _ in model.get_submodule(name).parameters())] + inside


def name_task(model: PreTrainedModel, form: Form) -> str | None:
    """PEFT's word for what a model is for, where it has one that adds nothing of its own."""
    if not isinstance(form, Writing):
        return None
    return "SEQ_2_SEQ_LM" if model.config.is_encoder_decoder else "CAUSAL_LM"


def list_linear_layers(model: PreTrainedModel) -> list[str]:
    """The ends of the names of the linear layers of the pretrained body, once each, without the output layer."""
    output = model.get_output_embeddings()
    return sorted(
        {
            name.rpartition(".")[2]
            for name, module in model.base_model.named_modules()
            if isinstance(module, torch.nn.Linear | Conv1D) and module is not output
        }
    )


def require_only_adapter_moved(before: PeftModel, after: PreTrainedModel) -> None:
    """Make sure that training moved weights of the adapter, and none that is not saved with it.

    Args:
        before: the wrapped model as training got it.
        after: the trained copy.

    Raises:
        StrayWeightsError: other weights moved.
        SameWeightsError: nothing moved.
    """
    saved = {tensor.data_ptr() for tensor in _list_saved(before)}
    trained = after.state_dict()
    moved = {name for name, tensor in before.state_dict().items() if not torch.equal(tensor.cpu(), trained[name])}
    stray = sorted(name for name in moved if before.state_dict()[name].data_ptr() not in saved)
    if stray:
        raise StrayWeightsError(
            f"Training moved {len(stray)} tensors of the base beside the adapter: {', '.join(stray[:3])}.",
            why="They are not saved with the adapter: loaded, it would stand on another base and score otherwise.",
            fix="Freeze all that is not the adapter (PEFT does), or save it with the adapter (modules_to_save).",
        )
    if not moved:
        raise SameWeightsError(
            f"Training moved none of the {len(saved)} tensors of the adapter.",
            why='The comparison would always say "no change".',
            fix="Look at the loss curve and the learning rate.",
        )


def _list_saved(model: PeftModel) -> list[torch.Tensor]:
    """What is saved of a model: the weights of the adapter and of the heads, or those that a soft prompt is made of."""
    if model.active_peft_config.is_prompt_learning:
        return list(model.prompt_encoder.parameters())
    return list(get_peft_model_state_dict(model, save_embedding_layers=False).values())


def finish(trained: Trained, form: Form | None = None) -> Adapted:
    """What a method of PEFT returns: how training went, and the bytes that have to be stored beside the base.

    Args:
        trained: a model of PEFT and how it came about.
        form: how it is asked from now on, where that is another way.
    """
    return Adapted(
        model=trained.model,
        losses=trained.losses,
        trainable_parameters=trained.trainable_parameters,
        held_out_losses=trained.held_out_losses,
        form=form,
        facts={"adapter_bytes": measure_bytes(trained.model)},
    )


def measure_bytes(model: PeftModel) -> int:
    """What the adapter takes on disk, in bytes: its weights and its settings."""
    with TemporaryDirectory(prefix="harness-") as folder:
        model.save_pretrained(folder)
        return sum(file.stat().st_size for file in Path(folder).glob("adapter_*"))
