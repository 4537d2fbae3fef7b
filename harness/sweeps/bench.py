"""What the methods of a task and a model have in common: rows and base, made ready once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from harness.config import Experiment
from harness.data.rows import Splits, hash_rows
from harness.data.source import load_splits
from harness.errors import UsageError
from harness.experiment import make_course, require_fit, require_trainable
from harness.forms import choose_form
from harness.models.locate import locate_model
from harness.preparation import Ready, prepare
from harness.tasks import TASKS
from harness.tuning import Clock


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Rows and base.

    Args:
        splits: the rows.
        ready: the base, and the rows as token ids.
        sources: hashes of both.
    """

    splits: Splits
    ready: Ready
    sources: Mapping[str, object]

    def find_obstacle(self, experiment: Experiment) -> str | None:
        """Why the experiment's method does not fit the task or the model; nothing where it does."""
        form = replace(self.ready.form, experiment=experiment)
        course = make_course(form, self.ready.loaded, self.splits.train, self.ready.train, self.ready.collator)
        try:
            require_fit(experiment, course)
            require_trainable(experiment, self.ready.loaded, course)
        except UsageError as error:
            return str(error)
        return None


def find_clash(experiment: Experiment) -> str | None:
    """Why the task cannot be put to the model, whatever the method; nothing where it can.

    Raises:
        UsageError: there is no such model.
    """
    locate_model(experiment.model)
    try:
        choose_form(experiment)
    except UsageError as error:
        return str(error)
    return None


def prepare_bench(experiment: Experiment) -> Bench:
    """Make rows and base ready.

    Raises:
        UsageError: the data or the model cannot be used.
        TrainingError: the labels do not mean the targets.
    """
    splits = load_splits(experiment.data, TASKS[experiment.task])
    ready = prepare(experiment, splits, audit=None, clock=Clock(), say=lambda _: None)
    sources = name_sources(hash_rows(splits.train), hash_rows(splits.eval), ready.loaded.identify().model_dump())
    return Bench(splits=splits, ready=ready, sources=sources)


def name_sources(train: str, evaluation: str, base: Mapping[str, object]) -> Mapping[str, object]:
    """What cells start from."""
    return {"training rows": train, "evaluation rows": evaluation, "base": dict(base)}
