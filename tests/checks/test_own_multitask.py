"""The strategies are held to the checks of several tasks, and the catalogue's defects in them are seen."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from harness.checks.check import Status
from harness.checks.own_multitask import pipeline_of_tasks
from harness.checks.pipeline import Pipeline
from harness.cli import main
from harness.gate import ExitCode
from harness.multitask import Multitask, load_multitask
from harness.statistics import transfer
from harness.strategies import continual, ewc, joint
from harness.strategies.curriculum import Subject
from harness.strategies.shared import SharedModel
from tests.checks.planted import audit_with, checks_of, complaints, failures

CHECKS = checks_of("mixing", "replay", "consolidation", "importance", "forgetting")
SMALL = {"data.eval_rows": 6, "encoding.max_input_tokens": 96, "gate.require": None}
ROWS = (24, 16, 32)
"""Training rows of each task; unlike, so that shares tell."""
SETTINGS: dict[str, dict[str, Any]] = {
    "sequential": {},
    "single": {},
    "joint": {},
    "continual": {"continual": {"replay": 12, "ewc": 1.0}},
    "adapters": {},
}
SKIPPED = {
    "sequential": {"mixture", "replay_buffer", "fisher", "anchor"},
    "single": {"mixture", "replay_buffer", "fisher", "anchor"},
    "joint": {"train_task", "replay_buffer", "fisher", "anchor"},
    "continual": {"mixture"},
    "adapters": {"mixture", "replay_buffer", "fisher", "anchor"},
}
"""The parts that a strategy has not, for which checks are skipped."""


def make(strategy: str, **settings: Any) -> Multitask:
    """Three tasks of the encoder, each with news of its own."""
    plain = load_multitask("multitask-bert", tasks=["classification", "sentiment", "ner"])
    tasks = [
        # Of a joint run only the plan is looked at, and more epochs show its shares more clearly.
        task.override(
            {
                **SMALL,
                "data.seed": number,
                "data.train_rows": ROWS[number],
                "training.epochs": 6 if strategy == "joint" else 1,
            }
        )
        for number, task in enumerate(plain.tasks)
    ]
    changes = {"strategy": strategy, "tasks": tasks, **SETTINGS[strategy], **settings}
    return Multitask.model_validate({**plain.model_dump(), **changes})


@cache
def own(strategy: str) -> Pipeline:
    return pipeline_of_tasks(make(strategy))


@pytest.mark.slow
@pytest.mark.parametrize("strategy", SETTINGS)
def test_strategies_pass_the_checks_of_several_tasks(strategy: str) -> None:
    """Nothing fails, and only what a strategy does not do is skipped."""
    report = audit_with(own(strategy), CHECKS)
    assert complaints(report) == []
    skipped = {result.check for result in report.results if result.status is Status.SKIPPED}
    lacking = {f"multitask.{part}" for part in SKIPPED[strategy]}
    assert skipped == {check for check in CHECKS if lacking & set(check.needs)}
    assert len(skipped) < len(CHECKS)


def lose_heads(patch: pytest.MonkeyPatch) -> None:
    """A stored pupil comes back with the heads of its base."""
    real = SharedModel.restore
    patch.setattr(SharedModel, "restore", lambda self, folder: replace(real(self, folder), heads=self.heads))


def forget_to_train(patch: pytest.MonkeyPatch) -> None:
    """What was trained is thrown away."""
    patch.setattr(SharedModel, "learned", lambda self, models: self)


def mix_evenly(patch: pytest.MonkeyPatch) -> None:
    """Tasks come in turn, whatever the settings say."""
    even = lambda sizes, mixing, *, temperature: dict.fromkeys(sizes, 1 / len(sizes))  # noqa: E731
    patch.setattr(joint, "share_tasks", even)


def starve_a_task(patch: pytest.MonkeyPatch) -> None:
    """The last task takes the place of the first."""
    real = joint.plan_batches

    def plan(sizes: Any, counts: Any, **options: Any) -> Any:
        first, *_, last = sizes
        return [[(last if task == first else task, 0) for task, _ in batch] for batch in real(sizes, counts, **options)]

    patch.setattr(joint, "plan_batches", plan)


def square_the_batch(patch: pytest.MonkeyPatch) -> None:
    """The gradient of all rows together is squared."""
    real = ewc.estimate_fisher
    patch.setattr(ewc, "estimate_fisher", lambda weights, nats: real(weights, [torch.stack([*nats]).mean()]))


def collapse_the_fisher(patch: pytest.MonkeyPatch) -> None:
    """Each tensor has one importance for all of its weights."""
    real = ewc.estimate_fisher

    def flat(weights: Any, nats: Any) -> Any:
        return {name: entry.mean().expand_as(entry) for name, entry in real(weights, nats).items()}

    patch.setattr(ewc, "estimate_fisher", flat)


def alias_the_anchor(patch: pytest.MonkeyPatch) -> None:
    """The anchor is stored by reference."""
    patch.setattr(ewc, "copy_weights", lambda weights: {name: weight.data for name, weight in weights.items()})


def keep_the_last(patch: pytest.MonkeyPatch) -> None:
    """What a task puts into memory pushes the tasks before it out."""

    def remember(memory: Any, task: str, rows: int, *, capacity: int, rng: Any) -> Any:
        return {**{name: [] for name in memory}, task: [*range(capacity)]}

    patch.setattr(continual, "remember", remember)


def remember_the_exam(patch: pytest.MonkeyPatch) -> None:
    """The numbers in memory mean rows as they stood before the split."""
    real = Subject.course

    def course(self: Subject, *arguments: Any) -> Any:
        return replace(real(self, *arguments), rows=(*self.splits.eval, *self.splits.train))

    patch.setattr(Subject, "course", course)


def count_the_last_fall(patch: pytest.MonkeyPatch) -> None:
    """The score before the last stage is taken for the best one."""
    real = transfer.lost_since

    def last(scores: Any, learned: Any) -> Any:
        return tuple(replace(way, end=len(scores) - 2) for way in real(learned, len(scores) - 1))

    patch.setattr(transfer, "lost_from_best", last)


PLANTED: dict[str, tuple[Callable[[pytest.MonkeyPatch], None], str, str]] = {
    "head-lost-when-switching-tasks": (lose_heads, "sequential", "earlier-task-is-kept"),
    "task-never-trained": (forget_to_train, "sequential", "each-task-learns"),
    "task-starved": (starve_a_task, "joint", "mixture-is-as-declared"),
    "mixing-ratio-not-as-declared": (mix_evenly, "joint", "mixture-is-as-declared"),
    "ewc-fisher-from-batch-gradient": (square_the_batch, "continual", "fisher-is-the-mean-of-squared-gradients"),
    "ewc-fisher-collapsed-shape": (collapse_the_fisher, "continual", "fisher-is-the-mean-of-squared-gradients"),
    "ewc-anchor-aliases-weights": (alias_the_anchor, "continual", "penalty-grows-with-distance"),
    "replay-unbalanced": (keep_the_last, "continual", "memory-is-balanced"),
    "replay-buffer-contains-eval": (remember_the_exam, "continual", "memory-holds-earlier-training-rows"),
    "forgetting-metric-wrong": (count_the_last_fall, "sequential", "forgetting-matches-its-definition"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANTED)
def test_defects_of_the_catalogue_are_seen_in_the_strategies(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each multitask defect, planted in what the strategy does, turns its check red."""
    plant, strategy, check = PLANTED[name]
    pipeline = own(strategy)
    plant(monkeypatch)
    report = audit_with(pipeline, [one for one in CHECKS if one.name == check])
    assert failures(report).keys() == {check}, [str(result) for result in report.results]


def test_audit_takes_a_strategy(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """``harness audit FILE --strategy NAME`` looks at the file's tasks; an unknown strategy is a user's mistake."""
    file = tmp_path / "tasks.toml"
    file.write_text(
        'name = "two"\ntasks = ["sentiment", "classification"]\n[common]\nmodel = { name = "tiny-bert" }\n'
        "data = { train_rows = 24, eval_rows = 8 }\ntraining = { epochs = 1 }\n",
        encoding="utf-8",
    )

    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["harness", "audit", str(file), *arguments])
        return main()

    assert run("--strategy", "joint", "--check", "mixture-is-as-declared") == ExitCode.PASSED
    assert capfd.readouterr().out.startswith("✓ mixture-is-as-declared: sentiment: 1 epochs")
    assert run("--strategy", "joynt") == ExitCode.USAGE
    assert '"joynt"' in capfd.readouterr().err
