"""Everything that is made ready before anything trains: scores, requirements, model, encoded rows, audited labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness import processes
from harness.config import Experiment
from harness.data.rows import Splits
from harness.forms import Form, choose_form
from harness.generation import ENGINES
from harness.methods import METHODS
from harness.metrics import METRICS
from harness.metrics.scorer import Scorer, choose_scores
from harness.probes import CheckReport
from harness.requirements import Kind, Requirement, parse_requirement
from harness.spool import in_parts
from harness.tasks import TASKS
from harness.tasks.labels import LabelReport
from harness.tasks.task import Collator, EncodedRow
from harness.tuning import Clock

if TYPE_CHECKING:
    from harness.models.loading import LoadedModel

Say = Callable[[str], None]
Audit = Callable[[Experiment], CheckReport]
"""Runs the checks of an experiment's pipeline."""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """What a run needs before anything trains.

    Args:
        form: how the task is put to the model.
        scorer: the scores that apply to the evaluation rows.
        requirements: what must hold.
        checked: what the checks of the pipeline found, where a requirement asks for it.
        loaded: the base.
        train: the training rows as token ids.
        evaluation: the evaluation rows as token ids.
        collator: pads training examples.
        labels: what the loss will see.
    """

    form: Form
    scorer: Scorer
    requirements: tuple[Requirement, ...]
    checked: CheckReport | None
    loaded: LoadedModel
    train: Sequence[EncodedRow]
    evaluation: Sequence[EncodedRow]
    collator: Collator
    labels: LabelReport

    @property
    def kinds(self) -> set[Kind]:
        """Which kinds of requirements there are."""
        return {requirement.kind for requirement in self.requirements}


def prepare(experiment: Experiment, splits: Splits, *, audit: Audit | None, clock: Clock, say: Say) -> Ready:
    """Make ready what a run needs.

    Args:
        experiment: what to run.
        splits: the rows.
        audit: runs the checks of the experiment's pipeline, for "every check must pass".
        clock: takes the time of each stage.
        say: is told what happens.

    Raises:
        UsageError: a setting, the data or the model cannot be used.
        LabelError: the labels do not mean the targets.
    """
    task = TASKS[experiment.task]
    with clock.stage("load"):
        names = experiment.data.scale or task.name_labels(splits.train)
        scorer = choose_scores(METRICS, task.metrics, splits.eval, names)
        requirements = parse_requirements(experiment, tuple(scorer.signatures))
        asked = any(requirement.kind == "checks" for requirement in requirements)
        if asked:
            processes.require_one('"every check must pass"', why="Checks train and time models of their own.")
        checked = audit(experiment) if audit and asked else None
        form = choose_form(experiment)
        loaded = form.load(splits.train)
        base = loaded.identify()
        head = f", {loaded.fresh:,} of them of a new head" * bool(loaded.fresh)
        say(f"model {base.name}: {base.parameters:,} parameters{head}, sha256 {base.weights[:8]}…")
    with clock.stage("encode"):
        train = form.encode(splits.train, loaded)
        evaluation = in_parts(lambda rows: form.encode(rows, loaded), splits.eval)
        collator = form.make_collator(loaded)
        labels = form.audit(splits.train, train, loaded, collator)
        say(f"labels: {say_labels(labels)}")
        if cut := sum(row.input_cut for row in evaluation):
            limit = experiment.encoding.max_input_tokens
            say(f"evaluation: {cut} of {len(evaluation)} inputs were cut to {limit} tokens")
    return Ready(
        form=form,
        scorer=scorer,
        requirements=requirements,
        checked=checked,
        loaded=loaded,
        train=train,
        evaluation=evaluation,
        collator=collator,
        labels=labels,
    )


def require_names(experiment: Experiment) -> None:
    """Make sure that task, method and engine are known.

    Raises:
        NameUnknownError: one is not.
    """
    TASKS.require(experiment.task)
    METHODS.require(experiment.method)
    ENGINES.require(experiment.generation.engine)


def say_labels(labels: LabelReport) -> str:
    """What the loss sees, in a few words."""
    cut = f"; of {labels.rows} rows {labels.targets_cut} targets and {labels.inputs_cut} inputs were cut"
    return labels.summary + cut * bool(labels.targets_cut or labels.inputs_cut)


def list_sentences(experiment: Experiment) -> tuple[str, ...]:
    """What must hold: the experiment's sentences, or that the tuned model beats its base on the task's headline."""
    return experiment.gate.require or (f"tuned must beat base on {TASKS[experiment.task].headline}",)


def parse_requirements(experiment: Experiment, metrics: tuple[str, ...]) -> tuple[Requirement, ...]:
    """Understand what must hold.

    Raises:
        SettingsError: a sentence is not understood, or names a metric that is not computed.
    """
    return tuple(parse_requirement(sentence, metrics) for sentence in list_sentences(experiment))
