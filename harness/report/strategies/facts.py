"""A study as plain data: what ``--json`` prints and every report of it is made from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from harness.pairs import Pair
    from harness.report.facts import Facts
    from harness.strategies.contest import Contest
    from harness.strategies.measures import Measure
    from harness.strategies.run import MultitaskRun
    from harness.strategies.stage import Stage
    from harness.strategies.study import Study
    from harness.strategies.verdict import MultitaskVerdict


def describe_study(study: Study) -> Facts:
    """The study as JSON values; infinite numbers and those that are not defined became null."""
    multitask, subjects = study.multitask, study.curriculum.subjects
    return {
        "name": multitask.name,
        "model": multitask.tasks[0].model.name,
        "level": multitask.gate.level,
        "seeds": list(range(multitask.seed, multitask.seed + multitask.repeats)),
        "tasks": [
            {
                "name": subject.name,
                "headline": subject.headline,
                "train_rows": len(subject.splits.train),
                "eval_rows": len(subject.splits.eval),
            }
            for subject in subjects
        ],
        "lines": [describe_line(run, study.verdicts[name]) for name, run in study.runs.items()],
        "contest": None if study.contest is None else describe_contest(study.contest),
        "skipped": dict(study.skipped),
        "seconds": dict(study.seconds),
        "exit_code": int(study.exit_code),
        "passed": not study.exit_code,
    }


def describe_line(run: MultitaskRun, verdict: MultitaskVerdict) -> Facts:
    """One strategy: its matrix, its measures, what became of the sentences, and what it took."""
    matrices = [run.matrix(repeat) for repeat in range(len(run.repeats))]
    return {
        "name": run.line,
        "strategy": run.multitask.strategy,
        "learned": run.learned.tolist(),
        "matrix": np.mean(matrices, axis=0).round(4).tolist(),
        "matrices": [matrix.tolist() for matrix in matrices],
        "stages": [_describe_stage(stage) for stage in run.repeats[0][1:]],
        "measures": {name: _describe_measure(measure) for name, measure in verdict.measures.items()},
        "requirements": [
            {"sentence": found.sentence, "status": str(found.status), "reason": found.reason}
            for found in verdict.findings
        ],
        "verdict": str(verdict.status),
        "passed": verdict.passed,
        "seconds": dict(run.seconds),
    }


def describe_contest(contest: Contest) -> Facts:
    """The pairs of strategies, and each strategy's tasks against the models that learned one alone."""
    return {
        "average score": [_describe_pair(pair) for pair in contest.average],
        "forgetting": [_describe_pair(pair) for pair in contest.forgetting],
        "single": [
            {
                "line": entry.line,
                "task": entry.gap.task,
                "loss": _finite(entry.gap.loss),
                "interval": [_finite(entry.gap.low), _finite(entry.gap.high)],
                "loses": entry.loses,
            }
            for entry in contest.single
        ],
    }


def _describe_stage(stage: Stage) -> Facts:
    return {
        "taught": list(stage.taught),
        "steps": len(stage.losses),
        "first_loss": stage.losses[0] if stage.losses else None,
        "last_loss": stage.losses[-1] if stage.losses else None,
        "trainable_parameters": stage.trainable_parameters,
        "facts": {name: _finite(value) for name, value in stage.facts.items()},
    }


def _describe_measure(measure: Measure) -> Facts:
    return {
        "value": _finite(measure.value),
        "interval": [_finite(measure.low), _finite(measure.high)],
        "by_seed": [_finite(value) for value in measure.by_seed],
        "tasks": list(measure.tasks),
    }


def _describe_pair(pair: Pair) -> Facts:
    return {
        "one": pair.one,
        "other": pair.other,
        "delta": _finite(pair.delta),
        "interval": [_finite(pair.low), _finite(pair.high)],
        "p_adjusted": round(pair.p, 6),
        "better": pair.better,
    }


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
