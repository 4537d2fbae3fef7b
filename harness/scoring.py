"""From a model and rows to an arm."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.arm import SCORE_DIGITS, Arm, Manifest, Role, ScoredRow, mean_score
from harness.config import Experiment
from harness.data.rows import Splits, hash_rows
from harness.fingerprint import describe_environment
from harness.generation import ENGINES
from harness.generation.engine import Resolved
from harness.generation.speed import SpeedRatio, measure_speed
from harness.metrics import METRICS
from harness.tasks import TASKS

if TYPE_CHECKING:
    from harness.models.loading import LoadedModel
    from harness.tasks.task import EncodedRow


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


def time_engine(
    experiment: Experiment, tuned: LoadedModel, rows: Sequence[EncodedRow], settings: Resolved
) -> SpeedRatio:
    """The speed of the experiment's engine beside plain ``generate``, on the evaluation rows."""
    engine, size = ENGINES[experiment.generation.engine], experiment.generation.batch_size
    return measure_speed(engine, tuned.model, tuned.tokenizer, rows, settings, batch_size=size)


def say_scores(arm: Arm) -> str:
    """An arm's scores in a few words."""
    return ", ".join(f"{name} {score:.2f}" for name, score in arm.manifest.scores.items())
