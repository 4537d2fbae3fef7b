"""From a model and rows to an arm."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from harness.arm import SCORE_DIGITS, Arm, Manifest, Role, ScoredRow, mean_score
from harness.config import Experiment
from harness.data.rows import Row, Splits, hash_rows
from harness.fingerprint import describe_environment
from harness.generation import ENGINES
from harness.generation.engine import Resolved
from harness.generation.speed import SpeedRatio, measure_speed
from harness.metrics.metric import Output
from harness.metrics.scorer import Scorer
from harness.spool import Spool, in_parts

if TYPE_CHECKING:
    from harness.forms.form import Form
    from harness.models.loading import LoadedModel
    from harness.tasks.task import EncodedRow


def score_arm(
    experiment: Experiment,
    role: Role,
    loaded: LoadedModel,
    *,
    form: Form,
    scorer: Scorer,
    encoded: Sequence[EncodedRow],
    splits: Splits,
    settings: Resolved,
    method: str | None = None,
) -> Arm:
    """Make the outputs of the evaluation rows, score each, and write down what made them.

    Args:
        experiment: what is run.
        role: "base" or "tuned".
        loaded: the model.
        form: makes the outputs.
        scorer: scores them.
        encoded: the evaluation rows as token ids.
        splits: the rows; those that evaluate have the references.
        settings: the resolved settings, the same for both arms.
        method: how the weights were changed; nothing for the base.
    """
    outputs = in_parts(lambda rows, ids: form.predict(loaded, rows, ids, settings), splits.eval, encoded)
    rounded = _score(scorer, outputs, splits.eval)
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
        encoding=form.encoding,
        generation=settings,
        metrics=scorer.signatures,
        lower_is_better=scorer.lower_is_better,
        relative=scorer.relative,
        training=_describe_method(experiment) if role == "tuned" else {},
        environment=describe_environment(),
        scores={name: mean_score(values) for name, values in rounded.items()},
    )
    rows = Spool(
        ScoredRow(
            id=row.id, hash=row.hash, output=output.text, scores={name: values[n] for name, values in rounded.items()}
        )
        for n, (row, output) in enumerate(zip(splits.eval, outputs, strict=True))
    )
    return Arm(manifest=manifest, rows=rows)


def _score(scorer: Scorer, outputs: Sequence[Output], rows: Sequence[Row]) -> dict[str, array[float]]:
    """Every score of every row, as an arm keeps it."""
    return {name: array("d", values.round(SCORE_DIGITS)) for name, values in scorer.score(outputs, rows).items()}


def _describe_method(experiment: Experiment) -> dict[str, Any]:
    """The settings of the training, and of the method where it has some of its own."""
    own = getattr(experiment, experiment.method, None)
    named = {} if own is None else {f"{experiment.method}.{name}": value for name, value in own.model_dump().items()}
    return {**experiment.training.model_dump(), **named}


def time_engine(
    experiment: Experiment, tuned: LoadedModel, rows: Sequence[EncodedRow], settings: Resolved
) -> SpeedRatio | None:
    """The speed of the experiment's engine beside plain ``generate``; nothing where no text is generated."""
    if "engine" not in settings:
        return None
    engine, size = ENGINES[experiment.generation.engine], experiment.generation.batch_size
    return measure_speed(engine, tuned.model, tuned.tokenizer, rows, settings, batch_size=size)


def say_scores(arm: Arm) -> str:
    """An arm's scores in a few words."""
    return ", ".join(f"{name} {score:.2f}" for name, score in arm.manifest.scores.items())
