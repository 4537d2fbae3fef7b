"""A pupil of a strategy as one module, as checks take a model: with parameters that can be read, moved and saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from peft import PeftModel
from transformers import PreTrainedModel

from harness.strategies.adapter_set import AdapterSet
from harness.strategies.classroom import tie
from harness.strategies.pupil import Pupil
from harness.strategies.shared import SharedModel


class Learner(torch.nn.Module):
    """The models of some tasks; what the tasks share is one here as well.

    Args:
        pupil: what learns.
        names: the tasks that it can be asked for.
        memory: what the strategy keeps for later tasks.
    """

    def __init__(self, pupil: Pupil, names: Iterable[str], memory: Mapping[str, torch.Tensor] | None = None) -> None:
        super().__init__()
        self.pupil = pupil
        self.names = tuple(names)
        self.memory = dict(memory or {})
        self.shared = tuple(pupil.body) if isinstance(pupil, SharedModel) else ()
        self.models = torch.nn.ModuleList(self._open(name) for name in self.names)
        for model in self.models[1:]:
            tie(model, self.models[0], self.shared)
        self.eval()

    def _open(self, name: str) -> PreTrainedModel:
        """The model of a task with its own weights ready to learn."""
        if isinstance(self.pupil, AdapterSet) and name in self.pupil.adapters:
            return self.pupil.adapters[name].put_on(self.pupil.templates[name], trainable=True)
        return self.pupil.for_task(name)

    def of(self, task: str) -> PreTrainedModel:
        """The model of a task: a part of this one, not a copy."""
        model: PreTrainedModel = self.models[self.names.index(task)]
        return model

    def to_pupil(self) -> Pupil:
        """The pupil with the weights as they are now."""
        models = dict(zip(self.names, self.models, strict=True))
        if isinstance(self.pupil, SharedModel) and models:
            return self.pupil.learned(models)
        pupil = self.pupil
        for name, model in models.items():
            if isinstance(pupil, AdapterSet) and isinstance(model, PeftModel):
                pupil = pupil.learned(name, model)
        return pupil

    def rename(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """What is named as in the first task's model, named as here."""
        return {f"models.0.{name}": tensor for name, tensor in tensors.items()}
