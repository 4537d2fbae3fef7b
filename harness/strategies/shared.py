"""One body, and for each task the head that is its own."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from harness.forms.writing import Writing
from harness.strategies.curriculum import Curriculum
from harness.strategies.pupil import Pupil

Tensors = Mapping[str, torch.Tensor]
BODY = "body"


@dataclass(frozen=True, kw_only=True)
class SharedModel(Pupil):
    """The weights that all tasks share, and those of each task's head.

    A model that writes text has no heads: the tasks share all of it. Of an encoder the tasks share what lies under its
    body's name in each of their models, with the same shape.

    Args:
        templates: for each task a model with its head, for the classes and settings; they never change.
        body: name in the state of the model to the weights that are shared.
        heads: for each task the same of what is its own.
    """

    templates: Mapping[str, PreTrainedModel]
    body: Tensors
    heads: Mapping[str, Tensors]

    @classmethod
    def start(cls, curriculum: Curriculum, *, share: bool = True) -> SharedModel:
        """The base, before any task.

        Args:
            curriculum: the tasks.
            share: whether there is a body at all; without one each task has a model of its own.
        """
        templates = {subject.name: subject.ready.loaded.model for subject in curriculum.subjects}
        first = next(iter(templates.values()))
        writes = isinstance(curriculum.subjects[0].ready.form, Writing)
        under = "" if writes else f"{first.base_model_prefix}."
        states = {name: model.state_dict() for name, model in templates.items()}
        shared = {
            name
            for name, tensor in states[next(iter(states))].items()
            if share
            and name.startswith(under)
            and all(name in state and state[name].shape == tensor.shape for state in states.values())
        }
        return cls(
            templates=templates,
            body={name: tensor for name, tensor in next(iter(states.values())).items() if name in shared},
            heads={
                task: {name: tensor for name, tensor in state.items() if name not in shared}
                for task, state in states.items()
            },
        )

    def for_task(self, name: str) -> PreTrainedModel:
        """The shared body under the task's head."""
        model = copy.deepcopy(self.templates[name])
        model.load_state_dict({**self.body, **self.heads[name]})
        return model.eval()

    def learned(self, models: Mapping[str, PreTrainedModel]) -> SharedModel:
        """The pupil after training.

        Args:
            models: for each task that was trained its model; where there are several, they share their body.
        """
        states = {task: model.state_dict() for task, model in models.items()}
        body = {name: next(iter(states.values()))[name] for name in self.body}
        heads = {task: {name: states[task][name] for name in self.heads[task]} for task in states}
        return replace(self, body=_copied(body), heads={**self.heads, **{t: _copied(h) for t, h in heads.items()}})

    def save(self, folder: Path) -> None:
        """One file for the body, and one for each head."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, tensors in {BODY: self.body, **{f"head-{task}": head for task, head in self.heads.items()}}.items():
            save_file(_copied(tensors), folder / f"{name}.safetensors")

    def restore(self, folder: Path) -> SharedModel:
        """The same body and heads."""
        return replace(
            self,
            body=load_file(folder / f"{BODY}.safetensors"),
            heads={task: load_file(folder / f"head-{task}.safetensors") for task in self.heads},
        )


def _copied(tensors: Tensors) -> dict[str, torch.Tensor]:
    """Copies on the CPU that share no memory, as safetensors wants them."""
    return {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
