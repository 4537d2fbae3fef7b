"""The one straight path: rows in, a verdict out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import processes
from harness.arm import Arm
from harness.baselines import DEFAULT_FOLDER, Baseline, read_baseline
from harness.bases import Bases, recall_base
from harness.comparison import say_power
from harness.config import Experiment
from harness.data.rows import Row, Splits
from harness.data.source import load_splits
from harness.errors import UnfitError, UsageError
from harness.forms import Form
from harness.gate import Probe, Verdict, first_question, judge
from harness.generation.speed import SpeedRatio
from harness.methods import FITTING, Method
from harness.metrics.metric import Output, Table
from harness.metrics.scorer import Scorer
from harness.models.locate import locate_model
from harness.preparation import Audit, Say, parse_requirements, prepare, require_names
from harness.probes import CheckReport, judge_checks, judge_speed
from harness.progress import NOTHING, Unfinished
from harness.requirements import Kind
from harness.resuming import hash_method, make_key
from harness.saving import Saving
from harness.scoring import recall_engine, say_scores, score_arm, settle_engine, time_engine
from harness.spool import Spool, in_parts
from harness.tasks import TASKS
from harness.tasks.labels import LabelReport
from harness.tasks.task import Collator, EncodedRow, flatten
from harness.tuning import Clock, Cost, name_method, tune_each_seed
from harness.views import VIEWS

if TYPE_CHECKING:
    from harness.lesson import Trained
    from harness.methods.method import Course
    from harness.models.loading import LoadedModel


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a run left behind.

    Args:
        experiment: what was run.
        splits: the rows.
        labels: what the loss saw.
        base: the base's arm.
        tuned: the tuned model's arm.
        losses: the training loss of each step, in nats per token or row.
        trainable_parameters: how many weights were allowed to move.
        seconds: how long each stage took.
        verdict: the answer.
        others: the tuned arms of the further seeds; ``tuned`` is that of the first, not of the best.
        speed: the engine's speed beside plain ``generate``, where a requirement asks for it.
        checks: what the checks of the user's pipeline found, where a requirement asks for it.
        tables: for base and tuned what stands beside the scores, as a confusion matrix.
        method_facts: numbers that the method has to say of the first seed's model.
        method_tables: those of them that are read side by side.
        warnings: what the method warns of, of every seed.
        cost: what the first seed's model took.
        held_out_losses: with early stopping, the loss of the held-out rows behind each epoch, of the first seed.
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
    others: tuple[Arm, ...] = ()
    speed: SpeedRatio | None = None
    checks: CheckReport | None = None
    tables: Mapping[str, tuple[Table, ...]] = field(default_factory=dict)
    method_facts: Mapping[str, float] = field(default_factory=dict)
    method_tables: tuple[Table, ...] = ()
    warnings: tuple[str, ...] = ()
    cost: Cost | None = None
    held_out_losses: tuple[float, ...] = ()

    def _repr_html_(self) -> str:
        """How it shows itself in a notebook."""
        return VIEWS["run"](self)


def run(
    experiment: Experiment,
    *,
    baselines: Path = DEFAULT_FOLDER,
    method: Method | None = None,
    audit: Audit | None = None,
    unfinished: Unfinished | None = None,
    save: Path | None = None,
    bases: Bases | None = None,
    say: Say = lambda _: None,
) -> Run:
    """Fine-tune, score base and tuned on the same rows, compare them with each other and with the stored baseline.

    All that a user can get wrong is looked at before the model is trained, most of it before torch is imported.
    Nothing is written but what is asked to be kept.

    Args:
        experiment: what to run.
        baselines: the folder of stored arms.
        method: your own way to fine-tune, in place of the experiment's.
        audit: runs the checks of the experiment's pipeline, for "every check must pass".
        unfinished: where what is done is kept until ``unfinished.forget()``: after a kill, the same run goes on there
            and ends with the same weights, outputs and scores.
        save: a new folder for the first seed's tuned model and its tokenizer, written behind the verdict, whatever it
            is; of a model of PEFT the adapter is written.
        bases: of the runs before this one in this process: the base is not scored again where all that decides it, but
            for code, is the same.
        say: is told what happens, a line a stage.

    Raises:
        UsageError: a setting, the data, the model or the baseline cannot be used; `UnfitError` where it is the method.
        TrainingError: the labels do not mean the targets, or the loss is not finite.
        IdentityError: base and tuned are one model.
    """
    clock = Clock()
    require_names(experiment)
    saving = Saving(save, experiment, method)
    baseline = read_baseline(baselines, experiment.name)
    locate_model(experiment.model)
    with clock.stage("rows"):
        splits = load_splits(experiment.data, TASKS[experiment.task])
        say(f"{len(splits.train)} training and {len(splits.eval)} evaluation rows, none in both")
        say(first_question(experiment, baseline))
    ready = prepare(experiment, splits, audit=audit, clock=clock, say=say)
    processes.join()
    form, loaded = ready.form, ready.loaded
    course = make_course(form, loaded, splits.train, ready.train, ready.collator)
    if method is None:
        require_fit(experiment, course)
    require_trainable(experiment, loaded, course)
    progress = NOTHING
    if unfinished is not None:
        progress = unfinished.open(make_key([(experiment, splits, loaded.identify())], hash_method(method)), say)
    # Resolved once, from the base: training may touch the tuned model's config.
    with clock.stage("engine"):
        settle = partial(
            settle_engine,
            experiment,
            loaded,
            form=form,
            scorer=ready.scorer,
            encoded=ready.evaluation,
            rows=splits.eval,
        )
        settings, choice = recall_engine(progress, settle)
        if choice:
            say(f"engine: {choice.engine} ({choice.found[choice.engine]})")
    score = partial(
        score_arm,
        form=form,
        scorer=ready.scorer,
        encoded=ready.evaluation,
        splits=splits,
        settings=settings,
        choice=choice,
    )
    with clock.stage("base"):
        base_arm, origin = recall_base(
            bases,
            partial(score, experiment, "base", loaded, progress=progress),
            experiment=experiment,
            splits=splits,
            loaded=loaded,
            settings=settings,
            choice=choice,
        )
        say(f"base: {say_scores(base_arm)}{origin}")
    arms: list[Arm] = []
    histories: list[Trained] = []
    costs: list[Cost] = []
    for seeded, tuned, trained, cost in tune_each_seed(
        experiment, loaded, course, method=method, clock=clock, progress=progress
    ):
        say(f"tuned: {say_losses(trained.losses)}{say_stop(trained.held_out_losses)}")
        with clock.stage("tuned"):
            asked = ask_as(trained, tuned, splits.eval)
            asked["progress"] = progress.inside(f"seed-{seeded.training.seed}")
            arm = score(seeded, "tuned", tuned, method=name_method(experiment, method), **asked)
            say(f"tuned: {say_scores(arm)}{f' (seed {seeded.training.seed})' * (experiment.repeats > 1)}")
        saving.take(tuned)
        arms.append(arm)
        histories.append(trained)
        costs.append(cost)
    with clock.stage("speed"):
        speed = time_engine(experiment, tuned, ready.evaluation, settings) if "speed" in ready.kinds else None
    with clock.stage("verdict"):
        probes: dict[Kind, Probe] = {
            "checks": lambda _: judge_checks(ready.checked),
            "speed": lambda requirement: judge_speed(requirement, speed),
        }
        verdict = processes.by_first(
            lambda: judge(experiment, base_arm, arms, baseline, ready.requirements, probes=probes)
        )
        if verdict.comparisons.tuned_base.metrics:
            say(say_power(verdict.comparisons.tuned_base, experiment.gate.smallest_effect))
    saving.write(base=loaded, say=say)
    return Run(
        experiment=experiment,
        splits=splits,
        labels=ready.labels,
        base=base_arm,
        tuned=arms[0],
        losses=histories[0].losses,
        trainable_parameters=histories[0].trainable_parameters,
        seconds=clock.seconds,
        verdict=verdict,
        others=tuple(arms[1:]),
        speed=speed,
        checks=ready.checked,
        tables={arm.manifest.role: _list_tables(ready.scorer, arm, splits) for arm in (base_arm, arms[0])},
        method_facts=dict(getattr(histories[0], "facts", {})),
        method_tables=getattr(histories[0], "tables", ()),
        warnings=tuple(warning for trained in histories for warning in getattr(trained, "warnings", ())),
        cost=costs[0],
        held_out_losses=histories[0].held_out_losses,
    )


def say_losses(losses: Sequence[float]) -> str:
    """How the training loss went, in a few words."""
    return f"{len(losses)} steps, loss {losses[0]:.2f} → {losses[-1]:.2f}" if losses else "no steps recorded"


def say_stop(losses: Sequence[float]) -> str:
    """Which epoch was kept, where the losses of held-out rows chose one."""
    if not losses:
        return ""
    return f"; epoch {losses.index(min(losses)) + 1} of {len(losses)} kept (held-out loss {min(losses):.3f})"


def judge_again(done: Run, baseline: Baseline | None) -> Run:
    """The same run, judged against another baseline; what was found of checks and speed stays."""
    requirements = parse_requirements(done.experiment, tuple(done.base.manifest.metrics))
    found = {finding.sentence: (finding.status, finding.reason) for finding in done.verdict.findings}
    kept: Probe = lambda requirement: found[requirement.sentence]  # noqa: E731 - one line, two uses
    probes: dict[Kind, Probe] = {"checks": kept, "speed": kept}
    tuned = (done.tuned, *done.others)
    return replace(done, verdict=judge(done.experiment, done.base, tuned, baseline, requirements, probes=probes))


def _list_tables(scorer: Scorer, arm: Arm, splits: Splits) -> tuple[Table, ...]:
    return scorer.tables(Spool(Output(text=row.output) for row in arm.rows), splits.eval)


def make_course(
    form: Form, loaded: LoadedModel, rows: Sequence[Row], encoded: Sequence[EncodedRow], collator: Collator
) -> Course:
    """What a form teaches of the training rows."""
    from harness.methods.method import Course

    return Course(
        tokenizer=loaded.tokenizer,
        features=flatten(encoded),
        collator=collator,
        loss=form.make_loss(loaded, encoded),
        smooths=form.smooths,
        groups=[number for number, row in enumerate(encoded) for _ in row.features],
        form=form,
        rows=rows,
        loaded=loaded,
    )


def require_fit(experiment: Experiment, course: Course) -> None:
    """Make sure, before the base is scored, that the method can be used with this model and these rows.

    Raises:
        UnfitError: it cannot.
    """
    if experiment.method not in FITTING:
        return
    try:
        FITTING[experiment.method](course)
    except UsageError as error:
        raise UnfitError(error.seen, why=error.why, fix=error.fix) from error


def require_trainable(experiment: Experiment, loaded: LoadedModel, course: Course) -> None:
    """Make sure, before the base is scored, that the model can be trained as the settings say.

    Raises:
        SettingsError: it cannot.
    """
    from harness.training import choose_loss, require_able

    choose_loss(loaded.model, course, experiment.training)
    require_able(loaded.model, experiment.training)


def ask_as(trained: Trained, tuned: LoadedModel, rows: Sequence[Row]) -> dict[str, Any]:
    """How the tuned model is asked, where that is not the base's way: another form, and the rows encoded by it."""
    form = getattr(trained, "form", None)
    return {} if form is None else {"form": form, "encoded": in_parts(lambda part: form.encode(part, tuned), rows)}
