"""A frozen base, and for each task the adapter that it learned."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from peft import PeftModel
from transformers import PreTrainedModel

from harness.methods.parameter_efficient import find_heads
from harness.methods.stored import StoredAdapter, hash_base
from harness.strategies.curriculum import Curriculum
from harness.strategies.pupil import Pupil


@dataclass(frozen=True, kw_only=True)
class AdapterSet(Pupil):
    """The base of each task, and one adapter for each task that was learned; a head is part of its adapter.

    Args:
        templates: for each task the base with the task's new head; they never change.
        base: SHA-256 of what all of them share.
        adapters: by task.
    """

    templates: Mapping[str, PreTrainedModel]
    base: str
    adapters: Mapping[str, StoredAdapter]

    @classmethod
    def start(cls, curriculum: Curriculum) -> AdapterSet:
        """The base, before any task."""
        templates = {subject.name: subject.ready.loaded.model for subject in curriculum.subjects}
        first = curriculum.subjects[0].ready
        base = hash_base(first.loaded.model, find_heads(first.loaded.model, first.form))
        return cls(templates=templates, base=base, adapters={})

    def for_task(self, name: str) -> PreTrainedModel | PeftModel:
        """The base with the task's adapter on it, or the bare base where the task was not learned yet."""
        if name not in self.adapters:
            return copy.deepcopy(self.templates[name]).eval()
        return self.adapters[name].put_on(self.templates[name])

    def learned(self, task: str, model: PeftModel) -> AdapterSet:
        """The pupil after a task was learned.

        Args:
            task: which.
            model: the base with the trained adapter on.
        """
        return replace(self, adapters={**self.adapters, task: StoredAdapter.of(model)})

    def load(self, task: str, folder: Path) -> AdapterSet:
        """The pupil with a stored adapter for a task.

        Raises:
            ModelError: it cannot be read, or was trained on another base.
        """
        return replace(self, adapters={**self.adapters, task: StoredAdapter.read(folder, base=self.base)})

    def save(self, folder: Path) -> None:
        """One folder for each task, which plain PEFT loads; of bottlenecks see `harness.methods.bottleneck`."""
        folder.mkdir(parents=True, exist_ok=True)
        for task, adapter in self.adapters.items():
            adapter.save(folder / task, self.templates[task], base=self.base)

    def restore(self, folder: Path) -> AdapterSet:
        """The same adapters.

        Raises:
            ModelError: one cannot be read, or was trained on another base.
        """
        pupil = replace(self, adapters={})
        for task in self.templates:
            if (folder / task).is_dir():
                pupil = pupil.load(task, folder / task)
        return pupil
