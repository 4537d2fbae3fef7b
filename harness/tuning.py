"""From the base to one tuned model a seed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness import processes
from harness.config import Experiment
from harness.errors import TrainingError
from harness.guards import guard_identity
from harness.methods import METHODS, Adapted, Course, Method

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from harness.lesson import Trained
    from harness.models.loading import LoadedModel

ADAPTER_BYTES = "adapter_bytes"
"""The fact by which a method says how large on disk is what it has to store, where that is not the whole model."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What it took to adapt a model.

    Args:
        peak_bytes: the highest memory while it was adapted, above what was taken before; of several processes that of
            the one that took most.
        stored_bytes: what has to be stored beside the base: an adapter, or all weights; nothing for a prompt.
    """

    peak_bytes: int
    stored_bytes: int


class Clock:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Add the seconds of the block to those of the stage."""
        began = time.perf_counter()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - began, 3)


def tune_each_seed(
    experiment: Experiment,
    loaded: LoadedModel,
    course: Course,
    *,
    method: Method | None,
    clock: Clock,
) -> Iterator[tuple[Experiment, LoadedModel, Trained, Cost]]:
    """Train one model a seed, and make sure each time that base and tuned are two.

    Args:
        experiment: says with which seeds, and by which method.
        loaded: the base; it is not changed.
        course: what there is to learn.
        method: a user's own way to fine-tune, in place of the experiment's.
        clock: takes the time of the training.

    Yields:
        The experiment with that seed, the tuned model, how it came about, and what it took.

    Raises:
        TrainingError: the method returned something else than a trained model.
        IdentityError: base and tuned are one model.
    """
    # torch takes seconds to import; a user's typo should not have to wait for it.
    from harness.memory import watch_memory

    before = loaded.identify()
    for seed in range(experiment.training.seed, experiment.training.seed + experiment.repeats):
        seeded = experiment.override({"training.seed": seed})
        with clock.stage("tune"):
            seeded_course = replace(course, form=replace(course.form, experiment=seeded))
            with watch_memory() as peak:
                trained = (method or METHODS[experiment.method])(loaded.model, seeded_course, seeded.training)
            if not hasattr(trained, "model"):
                raise TrainingError(
                    f"The method returned a {type(trained).__name__}.",
                    fix="Return harness.Trained(model=..., losses=..., trainable_parameters=...).",
                )
            tuned = loaded.with_weights_of(trained.model)
            processes.require_equal(tuned.identify().weights, "weights")
            keeps = isinstance(trained, Adapted) and trained.keeps_weights
            guard_identity(base=before, base_after=loaded.identify(), tuned=tuned.identify(), keeps_weights=keeps)
        highest = max(processes.gather([peak.bytes]))
        yield seeded, tuned, trained, Cost(peak_bytes=highest, stored_bytes=measure_stored(trained))


def measure_stored(trained: Trained) -> int:
    """How many bytes have to be stored beside the base: what the method says, nothing, or the whole model."""
    if isinstance(trained, Adapted):
        if ADAPTER_BYTES in trained.facts:
            return int(trained.facts[ADAPTER_BYTES])
        if trained.keeps_weights:
            return 0
    return weigh(trained.model)


def weigh(model: PreTrainedModel) -> int:
    """The bytes of a model's weights; those that are tied count once."""
    return sum({weight.data_ptr(): weight.nbytes for weight in model.state_dict().values()}.values())


def name_method(experiment: Experiment, method: Method | None) -> str:
    """The method's name; of a user's own function where it stands."""
    if method is None:
        return experiment.method
    return f"{method.__module__}:{getattr(method, '__qualname__', method)}"
