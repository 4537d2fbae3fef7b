"""The one straight path: rows in, a verdict out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.arm import SCORE_DIGITS, Arm, Manifest, Role, ScoredRow, mean_score
from harness.baselines import DEFAULT_FOLDER, Baseline, read_baseline
from harness.comparison import compare
from harness.config import Experiment
from harness.data.rows import Splits, hash_rows
from harness.data.source import load_splits
from harness.errors import TrainingError
from harness.fingerprint import describe_environment
from harness.gate import Comparisons, Verdict, decide
from harness.generation import ENGINES
from harness.generation.engine import Resolved, resolve_settings
from harness.guards import guard_identity
from harness.methods import METHODS, Method
from harness.metrics import METRICS, Metric
from harness.models.locate import locate_model
from harness.requirements import Requirement, parse_requirement
from harness.tasks import TASKS, Task
from harness.tasks.labels import LabelReport, audit_labels
from harness.views import VIEWS

if TYPE_CHECKING:
    from harness.models.loading import LoadedModel
    from harness.tasks.task import EncodedRow

Say = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run left behind.

    Args:
        experiment: what was run.
        splits: the rows.
        labels: what the loss saw.
        base: the base's arm.
        tuned: the tuned model's arm.
        losses: the training loss of each step, in nats per token.
        trainable_parameters: how many weights were allowed to move.
        seconds: how long each stage took.
        verdict: the answer.
    """

    experiment: Experiment
    splits: Splits
    labels: LabelReport
    base: Arm
    tuned: Arm
    losses: tuple[float, ...]
    trainable_parameters: int
    seconds: dict[str, float]
    verdict: Verdict

    def _repr_html_(self) -> str:
        """How it shows itself in a notebook."""
        return VIEWS["run"](self)


def run(
    experiment: Experiment,
    *,
    baselines: Path = DEFAULT_FOLDER,
    method: Method | None = None,
    say: Say = lambda _: None,
) -> Run:
    """Fine-tune, score base and tuned on the same rows, compare them with each other and with the stored baseline.

    All that a user can get wrong is looked at before the model is trained, most of it before torch is imported.
    Nothing is written.

    Args:
        experiment: what to run.
        baselines: the folder of stored arms.
        method: your own way to fine-tune, in place of the experiment's.
        say: is told what happens, a line a stage.

    Raises:
        UsageError: a setting, the data, the model or the baseline cannot be used.
        TrainingError: the labels do not mean the targets, or the loss is not finite.
        IdentityError: base and tuned are one model.
    """
    clock = _Clock()
    for registry, name in (
        (TASKS, experiment.task),
        (METHODS, experiment.method),
        (ENGINES, experiment.generation.engine),
    ):
        registry.require(name)
    baseline = read_baseline(baselines, experiment.name)
    locate_model(experiment.model)
    with clock.stage("rows"):
        splits = load_splits(experiment.data)
        say(f"{len(splits.train)} training and {len(splits.eval)} evaluation rows, none in both")
    with clock.stage("load"):
        task = TASKS[experiment.task]
        metric = METRICS[task.metric]
        requirements = parse_requirements(experiment, metric)
        loaded = _load_model(experiment, task)
        base = loaded.identify()
        say(f"model {base.name}: {base.parameters:,} parameters, sha256 {base.weights[:8]}…")
    with clock.stage("encode"):
        train = task.encode(splits.train, loaded.tokenizer, experiment.encoding)
        evaluation = task.encode(splits.eval, loaded.tokenizer, experiment.encoding)
        collator = task.make_collator(loaded.tokenizer, loaded.model)
        labels = audit_labels(
            splits.train, train, loaded.tokenizer, collator, batch_size=experiment.training.batch_size
        )
        say(f"labels: {say_labels(labels)}")
        cut = sum(row.input_cut for row in evaluation)
        if cut:
            limit = experiment.encoding.max_input_tokens
            say(f"evaluation: {cut} of {len(evaluation)} inputs were cut to {limit} tokens")
    # Resolved once, from the base: training may touch the tuned model's config.
    settings = resolve_settings(loaded.model, experiment.generation)
    with clock.stage("base"):
        base_arm = score_arm(experiment, "base", loaded, encoded=evaluation, splits=splits, settings=settings)
        say(f"base: {_headline(base_arm)}")
    with clock.stage("tune"):
        trained = (method or METHODS[experiment.method])(
            loaded.model, loaded.tokenizer, train, collator, experiment.training
        )
        if not hasattr(trained, "model"):
            raise TrainingError(
                f"The method returned a {type(trained).__name__}.",
                fix="Return harness.Trained(model=..., losses=..., trainable_parameters=...).",
            )
        tuned = loaded.with_weights_of(trained.model)
        guard_identity(base=base, base_after=loaded.identify(), tuned=tuned.identify())
        say(f"tuned: {say_losses(trained.losses)}")
    with clock.stage("tuned"):
        named = (
            experiment.method if method is None else f"{method.__module__}:{getattr(method, '__qualname__', method)}"
        )
        tuned_arm = score_arm(
            experiment, "tuned", tuned, encoded=evaluation, splits=splits, settings=settings, method=named
        )
        say(f"tuned: {_headline(tuned_arm)}")
    with clock.stage("verdict"):
        verdict = judge(experiment, base_arm, tuned_arm, baseline, requirements)
    return Run(
        experiment=experiment,
        splits=splits,
        labels=labels,
        base=base_arm,
        tuned=tuned_arm,
        losses=trained.losses,
        trainable_parameters=trained.trainable_parameters,
        seconds=clock.seconds,
        verdict=verdict,
    )


def say_labels(labels: LabelReport) -> str:
    """What the loss sees, in a few words."""
    whole = f"{labels.supervised_tokens:,} supervised tokens decode to the targets, each with one EOS"
    cut = f"; of {labels.rows} rows {labels.targets_cut} targets and {labels.inputs_cut} inputs were cut"
    return whole + cut * bool(labels.targets_cut or labels.inputs_cut)


def say_losses(losses: Sequence[float]) -> str:
    """How the training loss went, in a few words."""
    return f"{len(losses)} steps, loss {losses[0]:.2f} → {losses[-1]:.2f}" if losses else "no steps recorded"


def parse_requirements(experiment: Experiment, metric: Metric) -> tuple[Requirement, ...]:
    """Understand the experiment's sentences.

    Raises:
        SettingsError: a sentence is not understood, or names a metric that is not computed.
    """
    return tuple(parse_requirement(sentence, tuple(metric.signatures)) for sentence in experiment.gate.require)


def score_arm(
    experiment: Experiment,
    role: Role,
    loaded: LoadedModel,
    *,
    encoded: Sequence[EncodedRow],
    splits: Splits,
    settings: Resolved,
    method: str | None = None,
) -> Arm:
    """Generate the outputs of the evaluation rows, score each, and write down what made them.

    Args:
        experiment: says which task, engine and metric.
        role: "base" or "tuned".
        loaded: the model.
        encoded: the evaluation rows as token ids.
        splits: the rows; those that evaluate have the references.
        settings: the resolved generation settings, the same for both arms.
        method: how the weights were changed; nothing for the base.
    """
    task = TASKS[experiment.task]
    metric = METRICS[task.metric]
    outputs = ENGINES[experiment.generation.engine](
        loaded.model, loaded.tokenizer, encoded, settings, batch_size=experiment.generation.batch_size
    )
    scores = metric.score(outputs, [row.references for row in splits.eval])
    rounded = {name: values.round(SCORE_DIGITS).tolist() for name, values in scores.items()}
    prefix = task.prefix if experiment.encoding.prefix is None else experiment.encoding.prefix
    manifest = Manifest(
        experiment=experiment.name,
        role=role,
        task=experiment.task,
        method=method,
        model=loaded.identify(),
        rows=hash_rows(splits.eval),
        inputs_cut=sum(row.input_cut for row in encoded),
        train_rows=hash_rows(splits.train) if role == "tuned" else None,
        data=experiment.data.model_dump(mode="json"),
        encoding={**experiment.encoding.model_dump(), "prefix": prefix},
        generation=settings,
        metrics=metric.signatures,
        training=experiment.training.model_dump() if role == "tuned" else {},
        environment=describe_environment(),
        scores={name: mean_score(values) for name, values in rounded.items()},
    )
    rows = tuple(
        ScoredRow(id=row.id, hash=row.hash, output=output, scores={name: values[n] for name, values in rounded.items()})
        for n, (row, output) in enumerate(zip(splits.eval, outputs, strict=True))
    )
    return Arm(manifest=manifest, rows=rows)


def judge(
    experiment: Experiment, base: Arm, tuned: Arm, baseline: Baseline | None, requirements: Sequence[Requirement]
) -> Verdict:
    """Compare the arms with each other and with the stored ones, and judge the requirements."""
    settings = experiment.gate
    comparisons = Comparisons(
        tuned_base=compare(tuned, base, settings, title="tuned vs base"),
        tuned_stored=compare(tuned, baseline.tuned, settings, title="tuned vs stored tuned") if baseline else None,
        base_stored=compare(base, baseline.base, settings, title="base vs stored base") if baseline else None,
    )
    return decide(comparisons, requirements, settings)


def judge_again(done: Run, baseline: Baseline | None) -> Run:
    """The same run, judged against another baseline."""
    requirements = parse_requirements(done.experiment, METRICS[TASKS[done.experiment.task].metric])
    return replace(done, verdict=judge(done.experiment, done.base, done.tuned, baseline, requirements))


def _load_model(experiment: Experiment, task: Task) -> LoadedModel:
    # transformers takes seconds to import; a user's typo should not have to wait for it.
    from harness.models.loading import load_model

    return load_model(experiment.model, auto_class=task.auto_class)


def _headline(arm: Arm) -> str:
    return ", ".join(f"{name} {score:.2f}" for name, score in arm.manifest.scores.items())


class _Clock:
    """Seconds of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - began, 3)
