"""Has the ground moved? The base of a stored experiment is scored anew and compared with the arm that is stored.

Nothing is trained, so this is cheap: it tells which upgrade of a library, which machine, or which change of the code
moved outputs or scores, before a tuned model is blamed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from harness.arm import Arm
from harness.baselines import Baseline, find_settings, places, read_baseline
from harness.comparison import Comparison, Outcome, compare
from harness.config import Experiment
from harness.data.source import load_splits
from harness.errors import BaselineError, UsageError
from harness.gate import EXIT_CODES, ExitCode
from harness.judgement import judge_sentence
from harness.models.locate import locate_model
from harness.preparation import Say, parse_requirements, prepare, require_names
from harness.requirements import Status, parse_requirement
from harness.scoring import say_scores, score_arm, settle_engine
from harness.tasks import TASKS
from harness.tuning import Clock

ANY_DRIFT = "base must not drift"
"""What is judged where the experiment says nothing of its base."""


class Movement(StrEnum):
    """What became of a stored base."""

    UNCHANGED = "unchanged"
    """The same weights, rows, outputs and scores."""
    MOVED = "moved"
    """Weights, outputs or scores are others; whether that matters is the verdict's to say."""
    NOT_COMPARABLE = "not comparable"
    """Other rows, settings or metrics, or it could not be scored."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One stored base, scored anew.

    Args:
        experiment: its name.
        movement: what became of it.
        status: what became of the sentence about drift.
        sentence: that sentence.
        reason: why.
        stored: the stored arm; nothing where it cannot be read.
        now: the new one; nothing where the base could not be scored.
        comparison: the new arm against the stored one; nothing where there is no new one.
    """

    experiment: str
    movement: Movement
    status: Status
    sentence: str
    reason: str
    stored: Arm | None = None
    now: Arm | None = None
    comparison: Comparison | None = None

    @property
    def exit_code(self) -> ExitCode:
        """The exit code of the verdict."""
        return EXIT_CODES[self.status]

    def as_json(self) -> dict[str, Any]:
        """What was found, for programs."""
        found: dict[str, Any] = {
            "experiment": self.experiment,
            "movement": str(self.movement),
            "status": str(self.status),
            "sentence": self.sentence,
            "reason": self.reason,
            "rows": 0 if self.stored is None else len(self.stored.rows),
        }
        if self.stored is None or self.now is None or self.comparison is None:
            return found
        ours, theirs = self.now.manifest, self.stored.manifest
        found["same"] = {
            "weights": ours.model.weights == theirs.model.weights,
            "tokenizer": ours.model.tokenizer == theirs.model.tokenizer,
            "rows": ours.rows == theirs.rows,
            "outputs": self.now.outputs_hash == self.stored.outputs_hash,
        }
        if self.comparison.outcome is not Outcome.NOT_COMPARABLE:
            found["changed"] = self.comparison.changed
        found["scores"] = {
            name: {"stored": theirs.scores[name], "now": score}
            for name, score in ours.scores.items()
            if name in theirs.scores
        }
        for entry in self.comparison.metrics:
            found["scores"][entry.metric] |= {"interval": [entry.low, entry.high], "p": entry.p}
        found["circumstances"] = list(self.comparison.circumstances)
        return found


def check_baselines(
    names: Sequence[str], *, baselines: Path, experiments: Path, say: Say = lambda _: None
) -> tuple[Drift, ...]:
    """Score the bases of stored experiments anew; nothing is trained, and nothing is written.

    Args:
        names: the experiments; all that are stored where none is named.
        baselines: where arms are stored.
        experiments: the folder of the experiments' TOML files; presets are known without.
        say: is told what happens, a line a stage.

    Raises:
        BaselineError: nothing is stored, or nothing of an experiment that is named.
    """
    wanted = tuple(dict.fromkeys(names)) or [place.name for place in places(baselines)]
    if not wanted:
        raise BaselineError(f"No arm is stored in {baselines}.", fix="Accept a run first, or name the folder.")
    for name in names:
        # A typo is told before the others are scored.
        if not (baselines / name).exists():
            _read_stored(baselines, name)
    found = []
    for name in wanted:
        stored = None
        try:
            baseline = _read_stored(baselines, name)
            stored = baseline.base
            say(f"{name}: {len(stored.rows)} rows")
            found.append(check_baseline(find_settings(experiments, name), baseline, say=say))
        except UsageError as error:
            found.append(
                Drift(
                    experiment=name,
                    movement=Movement.NOT_COMPARABLE,
                    status=Status.NOT_COMPARABLE,
                    sentence=ANY_DRIFT,
                    reason=str(error),
                    stored=stored,
                )
            )
    return tuple(found)


def check_baseline(experiment: Experiment, baseline: Baseline, *, say: Say = lambda _: None) -> Drift:
    """Score the base of an experiment anew and compare it with the stored one, row by row.

    Raises:
        UsageError: the data or the model cannot be used.
    """
    return compare_bases(experiment, score_base(experiment, say=say), baseline)


def compare_bases(experiment: Experiment, now: Arm, baseline: Baseline) -> Drift:
    """Compare a base's arm with the stored one, and judge it by what the experiment says of its base."""
    comparison = compare(now, baseline.base, experiment.gate, title="base vs stored base")
    sentence, status, reason = _judge(experiment, now, comparison)
    return Drift(
        experiment=experiment.name,
        movement=_name_movement(now, baseline.base, comparison),
        status=status,
        sentence=sentence,
        reason=reason,
        stored=baseline.base,
        now=now,
        comparison=comparison,
    )


def score_base(experiment: Experiment, *, say: Say = lambda _: None) -> Arm:
    """The base's arm, made as `harness.run` makes it.

    Raises:
        UsageError: a setting, the data or the model cannot be used.
    """
    require_names(experiment)
    locate_model(experiment.model)
    splits = load_splits(experiment.data, TASKS[experiment.task])
    ready = prepare(experiment, splits, audit=None, clock=Clock(), say=say)
    settings, choice = settle_engine(
        experiment, ready.loaded, form=ready.form, scorer=ready.scorer, encoded=ready.evaluation, rows=splits.eval
    )
    base = score_arm(
        experiment,
        "base",
        ready.loaded,
        form=ready.form,
        scorer=ready.scorer,
        encoded=ready.evaluation,
        splits=splits,
        settings=settings,
        choice=choice,
    )
    say(f"base: {say_scores(base)}")
    return base


def _read_stored(baselines: Path, name: str) -> Baseline:
    stored = read_baseline(baselines, name)
    if stored is None:
        known = ", ".join(place.name for place in places(baselines)) or "nothing"
        raise BaselineError(f'Nothing is stored of "{name}" in {baselines}.', fix=f"Stored is: {known}.")
    return stored


def _judge(experiment: Experiment, now: Arm, comparison: Comparison) -> tuple[str, Status, str]:
    """By the experiment's own sentence about its base; by the strictest where it has several."""
    metrics = tuple(now.manifest.metrics)
    sentences = [entry for entry in parse_requirements(experiment, metrics) if entry.kind == "no-drift"]
    asked = min(sentences, key=lambda entry: entry.points, default=parse_requirement(ANY_DRIFT, metrics))
    status, reason = judge_sentence(asked, comparison, experiment.gate)
    return asked.sentence, status, reason


def _name_movement(now: Arm, stored: Arm, comparison: Comparison) -> Movement:
    if comparison.outcome is Outcome.NOT_COMPARABLE:
        return Movement.NOT_COMPARABLE
    same = now.manifest.model == stored.manifest.model and all(
        (one.output, one.scores) == (other.output, other.scores)
        for one, other in zip(now.rows, stored.rows, strict=True)
    )
    return Movement.UNCHANGED if same else Movement.MOVED
