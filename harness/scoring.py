"""From a model and rows to an arm."""

from __future__ import annotations

import json
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from harness import processes
from harness.arm import SCORE_DIGITS, Arm, Manifest, Role, ScoredRow, mean_score
from harness.config import Experiment, GateSettings
from harness.data.rows import Row, Splits, hash_rows
from harness.fingerprint import describe_environment
from harness.generation import AUTO, ENGINES, REFERENCE
from harness.generation.auto import Choice, choose_engine
from harness.generation.batching import sorted_batches
from harness.generation.engine import Resolved
from harness.generation.speed import SpeedRatio, measure_speed
from harness.metrics.metric import Output
from harness.metrics.scorer import Scorer
from harness.outputs import ROWS, predict_in_parts
from harness.progress import NOTHING, Progress, say_age
from harness.spool import Spool
from harness.statistics import Evidence

if TYPE_CHECKING:
    from harness.forms.form import Form
    from harness.models.loading import LoadedModel
    from harness.tasks.task import EncodedRow

ARM, AS_IT_CAME = "arm", "as-it-came.json"
APPROXIMATED = 64
"""Rows on which the scores of an approximation are compared with the reference's."""
Floats = NDArray[np.float64]


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
    choice: Choice | None = None,
    progress: Progress = NOTHING,
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
        choice: how the engine was chosen, where it was.
        progress: where what is done is kept, and was; under the weights, so that no other model's outputs are found.
    """
    identity = loaded.identify()
    kept = progress.inside(f"{role}-{identity.weights[:16]}")
    if (place := kept.find(ARM)) is not None:
        kept.say(f"{role}: scored already ({say_age(place)})")
        return _read_kept(place)
    outputs = predict_in_parts(partial(_predict_together, form, loaded, settings), splits.eval, encoded, kept)
    rounded = processes.by_first(lambda: _score(scorer, outputs, splits.eval))
    manifest = Manifest(
        experiment=experiment.name,
        role=role,
        task=experiment.task,
        method=method,
        model=identity,
        rows=hash_rows(splits.eval),
        inputs_cut=sum(row.input_cut for row in encoded),
        train_rows=hash_rows(splits.train) if role == "tuned" else None,
        data=experiment.data.model_dump(mode="json", exclude={"limits"}),
        encoding=form.encoding,
        generation=settings,
        engine=choice.describe() if choice else {},
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
    arm = Arm(manifest=manifest, rows=rows)
    kept.keep(ARM, lambda fresh: _write_kept(fresh, arm))
    for number in kept.numbered(ROWS):
        kept.drop(f"{ROWS}{number}")
    return arm


def _write_kept(place: Path, arm: Arm) -> None:
    """An arm, and its manifest once more: on disk an arm is sorted by name, and reports show metrics as they come."""
    arm.write(place)
    (place / AS_IT_CAME).write_text(json.dumps(arm.manifest.model_dump()) + "\n", encoding="utf-8")


def _read_kept(place: Path) -> Arm:
    manifest = Manifest.model_validate(json.loads((place / AS_IT_CAME).read_text(encoding="utf-8")))
    return Arm(manifest=manifest, rows=Arm.read(place).rows)


def _predict_together(
    form: Form, loaded: LoadedModel, settings: Resolved, rows: Sequence[Row], encoded: Sequence[EncodedRow]
) -> list[Output]:
    """The output of each row, in order; several processes share the batches.

    Each gets whole batches of those that one process would make, so that a row has the same neighbours and padding, and
    its output the same bits, however many processes there are.
    """
    if processes.count() == 1:
        return form.predict(loaded, rows, encoded, settings)
    generation = form.experiment.generation
    lengths = [len(row.input_ids) for row in encoded]
    batches = sorted_batches(lengths, generation.batch_size, generation.batch_tokens)
    places = sorted(place for batch in processes.share(batches) for place in batch)
    own = form.predict(loaded, [rows[n] for n in places], [encoded[n] for n in places], settings) if places else []
    made = dict(processes.gather(list(zip(places, own, strict=True))))
    return [made[place] for place in range(len(rows))]


def _score(scorer: Scorer, outputs: Sequence[Output], rows: Sequence[Row]) -> dict[str, array[float]]:
    """Every score of every row, as an arm keeps it."""
    return {name: array("d", values.round(SCORE_DIGITS)) for name, values in scorer.score(outputs, rows).items()}


def _describe_method(experiment: Experiment) -> dict[str, Any]:
    """The settings of the training, and of the method where it has some of its own."""
    own = getattr(experiment, experiment.method, None)
    named = {} if own is None else {f"{experiment.method}.{name}": value for name, value in own.model_dump().items()}
    return {**experiment.training.model_dump(), **named}


def settle_engine(
    experiment: Experiment,
    loaded: LoadedModel,
    *,
    form: Form,
    scorer: Scorer,
    encoded: Sequence[EncodedRow],
    rows: Sequence[Row],
) -> tuple[Resolved, Choice | None]:
    """The generation settings with their engine settled, and what was found of it.

    Where the settings leave the engine open, one is chosen. Of one that is an approximation the difference in the
    scores is measured. Of the others nothing has to be found.

    Args:
        experiment: what is run.
        loaded: the base.
        form: makes the outputs.
        scorer: scores them.
        encoded: the evaluation rows as token ids.
        rows: the evaluation rows.
    """
    settings = form.resolve(loaded)
    name = str(settings.get("engine", REFERENCE))
    if name == AUTO:
        size = experiment.generation.batch_size
        choice = processes.by_first(lambda: choose_engine(loaded.model, encoded, settings, batch_size=size))
        return {**settings, "engine": choice.engine}, choice
    if ENGINES[name].exact:
        return settings, None
    some = rows[:APPROXIMATED]
    ours, theirs = (
        scorer.score(form.predict(loaded, some, encoded[:APPROXIMATED], {**settings, "engine": engine}), some)
        for engine in (name, REFERENCE)
    )
    return settings, Choice(engine=name, found={name: say_difference(ours, theirs, experiment.gate)})


def recall_engine(
    progress: Progress, settle: Callable[[], tuple[Resolved, Choice | None]]
) -> tuple[Resolved, Choice | None]:
    """What `settle_engine` found before, or else finds now: a choice by time may come out otherwise the next time."""

    def make() -> dict[str, Any]:
        settings, choice = settle()
        return {"settings": settings, "choice": None if choice is None else asdict(choice)}

    found = progress.remember("engine", make)
    return found["settings"], None if found["choice"] is None else Choice(**found["choice"])


def say_difference(ours: Mapping[str, Floats], theirs: Mapping[str, Floats], gate: GateSettings) -> str:
    """How far the scores of an approximation lie from the reference's: mean and interval over the rows.

    Args:
        ours: each metric's name to its scores of the rows, (rows,) float64.
        theirs: likewise, of the reference.
        gate: the level of the intervals and the number of flips.
    """
    deltas = np.stack([ours[name] - theirs[name] for name in ours], axis=-1)[:, None]
    evidence = Evidence(deltas=deltas, yes_no=(False,) * len(ours), level=gate.level, flips=gate.flips)
    said = []
    for number, name in enumerate(ours):
        low, high = evidence.interval(number)
        said.append(f"{name} {evidence.by_row[:, number].mean():+.2f} ({low:+.2f} to {high:+.2f})")
    return f"an approximation; against {REFERENCE} on {len(deltas)} rows: {', '.join(said)}"


def time_engine(
    experiment: Experiment, tuned: LoadedModel, rows: Sequence[EncodedRow], settings: Resolved
) -> SpeedRatio | None:
    """The speed of the experiment's engine beside plain ``generate``; nothing where no text is generated."""
    if "engine" not in settings:
        return None
    engine, size = ENGINES[str(settings["engine"])], experiment.generation.batch_size
    return processes.by_first(
        lambda: measure_speed(engine, tuned.model, tuned.tokenizer, rows, settings, batch_size=size)
    )


def say_scores(arm: Arm) -> str:
    """An arm's scores in a few words."""
    return ", ".join(f"{name} {score:.2f}" for name, score in arm.manifest.scores.items())
