"""Test-first evaluation harness and regression suite for fine-tuned language models.

Importing this package imports no torch: each public name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.arm import Arm as Arm
    from harness.checks.parametrize import parametrize_with_checks as parametrize_with_checks
    from harness.checks.pipeline import Declared as Declared
    from harness.checks.pipeline import Pipeline as Pipeline
    from harness.checks.report import AuditReport as AuditReport
    from harness.checks.suite import audit as audit
    from harness.comparison import Comparison as Comparison
    from harness.comparison import Outcome as Outcome
    from harness.comparison import compare as compare
    from harness.config import Experiment as Experiment
    from harness.config import load_experiment as load_experiment
    from harness.data.rows import Row as Row
    from harness.errors import HarnessError as HarnessError
    from harness.experiment import Run as Run
    from harness.experiment import run as run
    from harness.gate import ExitCode as ExitCode
    from harness.gate import Verdict as Verdict
    from harness.lesson import Lesson as Lesson
    from harness.lesson import Trained as Trained
    from harness.tasks.labels import check_labels as check_labels
    from harness.training import fine_tune as fine_tune

_HOMES = {
    "Arm": "harness.arm",
    "AuditReport": "harness.checks.report",
    "Comparison": "harness.comparison",
    "Declared": "harness.checks.pipeline",
    "Experiment": "harness.config",
    "ExitCode": "harness.gate",
    "HarnessError": "harness.errors",
    "Lesson": "harness.lesson",
    "Outcome": "harness.comparison",
    "Pipeline": "harness.checks.pipeline",
    "Row": "harness.data.rows",
    "Run": "harness.experiment",
    "Trained": "harness.lesson",
    "Verdict": "harness.gate",
    "audit": "harness.checks.suite",
    "check_labels": "harness.tasks.labels",
    "compare": "harness.comparison",
    "fine_tune": "harness.training",
    "load_experiment": "harness.config",
    "parametrize_with_checks": "harness.checks.parametrize",
    "run": "harness.experiment",
}

__all__ = [
    "Arm",
    "AuditReport",
    "Comparison",
    "Declared",
    "ExitCode",
    "Experiment",
    "HarnessError",
    "Lesson",
    "Outcome",
    "Pipeline",
    "Row",
    "Run",
    "Trained",
    "Verdict",
    "audit",
    "check_labels",
    "compare",
    "fine_tune",
    "load_experiment",
    "parametrize_with_checks",
    "run",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
