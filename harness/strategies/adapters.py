"""One adapter a task on a frozen body: nothing that one task learns can be forgotten over another.

Houlsby et al. 2019, "Parameter-Efficient Transfer Learning for NLP": tasks share the base and nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from harness.errors import SettingsError
from harness.methods import FITTING, METHODS
from harness.methods.parameter_efficient import PeftMethod
from harness.methods.stored import StoredAdapter
from harness.progress import NOTHING, Progress
from harness.strategies.adapter_set import AdapterSet
from harness.strategies.curriculum import Subject
from harness.strategies.strategy import Strategy, Taught


class Adapters(Strategy[AdapterSet]):
    """Trains a LoRA or a stack of bottlenecks for each task, and switches them."""

    name: ClassVar = "adapters"

    @property
    def method(self) -> PeftMethod:
        """What makes an adapter."""
        method = METHODS[self.curriculum.multitask.adapters.method]
        assert isinstance(method, PeftMethod)  # noqa: S101 - the settings allow no others
        return method

    def begin(self) -> Taught[AdapterSet]:
        """The base, with the adapters that the settings give it to begin with.

        Raises:
            ModelError: an adapter cannot be read, or was trained on another base.
            SettingsError: an adapter is given for no task, or is of another kind or shape; or the base has not the
                layers that are meant, or is to be held in four bits.
        """
        for subject in self.curriculum.subjects:
            self._require_plain_base(subject)
            FITTING[self.method.name](subject.course(self.seed))
        pupil = AdapterSet.start(self.curriculum)
        begin_from = self.curriculum.multitask.adapters.begin_from
        if strange := sorted(begin_from.keys() - set(self.curriculum.names)):
            raise SettingsError(
                f'adapters.begin_from names "{strange[0]}", which is none of the tasks.',
                fix=f"Name one of: {', '.join(self.curriculum.names)}.",
            )
        for task, folder in begin_from.items():
            pupil = pupil.load(task, Path(folder))
            self._require_fit(pupil, task)
        return Taught(pupil=pupil)

    def teach(self, stage: int, before: Taught[AdapterSet], progress: Progress = NOTHING) -> Taught[AdapterSet]:
        """Train the adapter of one task; base and other adapters stay as they are.

        Raises:
            StrayWeightsError: weights moved that are not saved with the adapter.
            SameWeightsError: the adapter did not learn.
        """
        (task,) = self.stages[stage]
        course, pupil = self.curriculum[task].course(self.seed, progress), before.pupil
        settings = course.form.experiment.training
        template = pupil.templates[task]
        if task in pupil.adapters:
            wrapped = pupil.adapters[task].put_on(template, trainable=True)
        else:
            wrapped = self.method.wrap(template, course.form, seed=settings.seed)
        trained = self.method.teach(wrapped, course, settings)
        return Taught(
            pupil=pupil.learned(task, trained.model),
            losses=trained.losses,
            trainable_parameters=trained.trainable_parameters,
            facts=trained.facts,
        )

    def _require_plain_base(self, subject: Subject) -> None:
        """Adapters are kept for the base as it was loaded: one that learned over rounded weights would not fit it."""
        bits = subject.experiment.lora.quantization
        if self.method.name == "lora" and bits != "none":
            raise SettingsError(
                f'{subject.name} has lora.quantization = "{bits}"; this strategy keeps one base for all tasks, whole.',
                why="An adapter that was trained over rounded weights answers otherwise on whole ones.",
                fix='Set lora.quantization = "none"; a task by itself can be learned by method lora in four bits.',
            )

    def _require_fit(self, pupil: AdapterSet, task: str) -> None:
        """Make sure that a given adapter is what the settings would make anew."""
        form = self.curriculum[task].ready.form
        made = StoredAdapter.of(self.method.wrap(pupil.templates[task], form, seed=0))
        given, wanted = (
            {key: tuple(entry.shape) for key, entry in adapter.weights.items()}
            for adapter in (pupil.adapters[task], made)
        )
        if given != wanted:
            first = min(key for key in given.keys() | wanted.keys() if given.get(key) != wanted.get(key))
            raise SettingsError(
                f'The adapter given for "{task}" is not as the settings would make it: {first} is '
                f"{given.get(first, 'missing')}, and should be {wanted.get(first, 'missing')}.",
                fix=f"Set adapters.method and {self.method.name}.* as they were when it was trained, or give another.",
            )
