"""Auditing the first links of the chain: data and tokens."""

from __future__ import annotations

import importlib

from harness.checks.check import Check
from harness.checks.pipeline import Pipeline
from harness.checks.report import AuditReport
from harness.checks.suite import all_checks, audit

FRESH = "splits-are-the-same-in-every-process"
"""Starts two processes, so it runs where it is meant alone."""


def reference(name: str) -> Pipeline:
    """The clean pipeline of a module of references."""
    pipeline: Pipeline = importlib.import_module(f"harness.defects.reference.{name}").PIPELINE
    return pipeline


def first_checks(*, fresh: bool = False) -> tuple[Check, ...]:
    """The checks of data, tokens and windows."""
    modules = {f"harness.checks.{name}" for name in ("splits", "loading", "prompts", "tokens", "windows")}
    return tuple(check for check in all_checks() if check.run.__module__ in modules and (fresh or check.name != FRESH))


def audit_first(pipeline: Pipeline, *, fresh: bool = False) -> AuditReport:
    """What those checks say of a pipeline."""
    return audit(pipeline, checks=first_checks(fresh=fresh))


def failed(report: AuditReport) -> set[str]:
    """The names of the checks that failed; an error is none of them."""
    assert not [result for result in report.bad if result.traceback], str(report)
    return {result.check.name for result in report.bad}
