"""Auditing planted defects in tests, with the checks of one module alone."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from harness.checks.check import Check, Status
from harness.checks.pipeline import Pipeline
from harness.checks.report import AuditReport
from harness.checks.suite import audit


def checks_of(*modules: str) -> tuple[Check, ...]:
    """The checks of some modules of ``harness.checks``, in their order."""
    found = [vars(importlib.import_module(f"harness.checks.{module}")) for module in modules]
    return tuple(value for names in found for value in names.values() if isinstance(value, Check))


def audit_with(pipeline: Pipeline, checks: Sequence[Check], *, seed: int = 0) -> AuditReport:
    """The report of these checks alone."""
    return audit(pipeline, checks=checks, seed=seed)


def failures(report: AuditReport) -> dict[str, tuple[str, ...]]:
    """Name and suspects of each check that failed."""
    return {result.check.name: result.suspects for result in report.results if result.status is Status.FAILED}


def complaints(report: AuditReport) -> list[str]:
    """Everything that a clean pipeline must not bring about, in words."""
    return [str(result) for result in report.bad]
