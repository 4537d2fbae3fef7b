"""A run as plain data: what ``--json`` prints and every other report is made from."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

from harness.tasks import TASKS

if TYPE_CHECKING:
    from harness.arm import Arm
    from harness.comparison import Comparison
    from harness.experiment import Run
    from harness.gate import Verdict

Facts = dict[str, Any]
"""JSON values; infinite numbers became null."""


def describe_run(run: Run) -> Facts:
    """The run as JSON values."""
    return {
        "experiment": run.experiment.name,
        "headline": TASKS[run.experiment.task].headline,
        **describe_verdict(run.verdict),
        "level": run.experiment.gate.level,
        "arms": {"base": describe_arm(run.base), "tuned": describe_arm(run.tuned)},
        "labels": dataclasses.asdict(run.labels),
        "training": {
            "rows": len(run.splits.train),
            "steps": len(run.losses),
            "first_loss": run.losses[0] if run.losses else None,
            "last_loss": run.losses[-1] if run.losses else None,
            "trainable_parameters": run.trainable_parameters,
            "held_out_losses": [_finite(loss) for loss in run.held_out_losses],
            **({} if run.cost is None else dataclasses.asdict(run.cost)),
        },
        "seconds": run.seconds,
        "tables": {role: [dataclasses.asdict(table) for table in tables] for role, tables in run.tables.items()},
        "method": dict(run.method_facts),
        "speed_ratio": None if run.speed is None else round(run.speed.median, 4),
    }


def describe_verdict(verdict: Verdict) -> Facts:
    """Outcome, requirements and comparisons, that of tuned with base first."""
    return {
        "outcome": str(verdict.outcome),
        "passed": verdict.passed,
        "exit_code": int(verdict.exit_code),
        "requirements": [
            {"sentence": found.sentence, "status": str(found.status), "reason": found.reason}
            for found in verdict.findings
        ],
        "comparisons": [
            describe_comparison(comparison)
            for comparison in (verdict.comparisons.tuned_base, *verdict.comparisons.stored)
        ],
    }


def describe_arm(arm: Arm) -> Facts:
    """What made an arm, and its mean scores."""
    manifest = arm.manifest
    return {
        "scores": manifest.scores,
        "signatures": manifest.metrics,
        "rows": len(arm.rows),
        "rows_sha256": manifest.rows,
        "weights_sha256": manifest.model.weights,
        "outputs_sha256": arm.outputs_hash,
        "generation": manifest.generation,
        "environment": manifest.environment,
    }


def describe_comparison(comparison: Comparison) -> Facts:
    """Each metric's delta, and what the comparison amounts to."""
    return {
        "title": comparison.title,
        "outcome": str(comparison.outcome),
        "rows": comparison.rows,
        "seeds": comparison.seeds,
        "changed_outputs": comparison.changed,
        "differences": list(comparison.differences),
        "circumstances": list(comparison.circumstances),
        "metrics": [
            {
                "metric": entry.metric,
                "lower_is_better": entry.lower_is_better,
                "relative": entry.relative,
                "against": entry.against,
                "candidate": entry.candidate,
                "delta": round(entry.delta, 4),
                "interval": [_finite(entry.low), _finite(entry.high)],
                "p_adjusted": round(entry.p, 6),
                "p_loss": round(entry.p_worse, 6),
                "by_seed": [round(delta, 4) for delta in entry.by_seed],
                "smallest_detectable": _finite(entry.detectable),
            }
            for entry in comparison.metrics
        ],
    }


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
