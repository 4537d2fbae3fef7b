"""A run as plain data: what ``--json`` prints and every other report is made from."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.arm import Arm
    from harness.comparison import Comparison
    from harness.experiment import Run


def describe_run(run: Run) -> dict[str, Any]:
    """The run as JSON values; infinite numbers become null."""
    verdict = run.verdict
    return {
        "experiment": run.experiment.name,
        "outcome": str(verdict.outcome),
        "passed": verdict.passed,
        "exit_code": int(verdict.exit_code),
        "requirements": [
            {"sentence": found.sentence, "status": str(found.status), "reason": found.reason}
            for found in verdict.findings
        ],
        "comparisons": [
            _describe_comparison(comparison)
            for comparison in (verdict.comparisons.tuned_base, *verdict.comparisons.stored)
        ],
        "arms": {"base": _describe_arm(run.base), "tuned": _describe_arm(run.tuned)},
        "labels": dataclasses.asdict(run.labels),
        "training": {
            "rows": len(run.splits.train),
            "steps": len(run.losses),
            "first_loss": run.losses[0] if run.losses else None,
            "last_loss": run.losses[-1] if run.losses else None,
            "trainable_parameters": run.trainable_parameters,
        },
        "seconds": run.seconds,
    }


def _describe_arm(arm: Arm) -> dict[str, Any]:
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


def _describe_comparison(comparison: Comparison) -> dict[str, Any]:
    return {
        "title": comparison.title,
        "outcome": str(comparison.outcome),
        "rows": comparison.rows,
        "changed_outputs": comparison.changed,
        "differences": list(comparison.differences),
        "circumstances": list(comparison.circumstances),
        "metrics": [
            {
                "metric": entry.metric,
                "against": entry.against,
                "candidate": entry.candidate,
                "delta": round(entry.delta, 4),
                "interval": [_finite(entry.low), _finite(entry.high)],
                "p_adjusted": round(entry.p, 6),
                "smallest_detectable": _finite(entry.detectable),
            }
            for entry in comparison.metrics
        ],
    }


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None
