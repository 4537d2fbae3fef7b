"""The suite in pytest: one test a check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.checks.check import Check, Result, Status
from harness.checks.evidence import Evidence
from harness.checks.pipeline import Pipeline
from harness.checks.suite import SECONDS, all_checks, expect, require_names, run_check


@dataclass(kw_only=True)
class _Suite:
    """A pipeline and its evidence, made when the first check runs."""

    pipeline: Pipeline | Callable[[], Pipeline]
    expected: Mapping[str, str]
    seed: int
    seconds: float
    evidence: Evidence | None = field(default=None, init=False)

    def run(self, check: Check) -> Result:
        if self.evidence is None:
            pipeline = self.pipeline if isinstance(self.pipeline, Pipeline) else self.pipeline()
            self.evidence = Evidence(pipeline, seed=self.seed)
        return expect(run_check(check, self.evidence, seconds=self.seconds), self.expected)


@dataclass(frozen=True, kw_only=True)
class BoundCheck:
    """A check bound to a pipeline; calling it passes, skips or fails the test that calls it."""

    check: Check
    suite: _Suite = field(repr=False)

    def __call__(self) -> None:
        """Run the check as a test."""
        __tracebackhide__ = True
        result = self.suite.run(self.check)
        if result.status is Status.SKIPPED:
            pytest.skip(result.seen)
        if result.status is Status.EXPECTED:
            pytest.xfail(result.seen)
        if result.status is not Status.PASSED:
            # No traceback of ours: the result names the fault, and carries the user's own traceback where there is one.
            pytest.fail(str(result), pytrace=False)


def parametrize_with_checks(
    pipeline: Pipeline | Callable[[], Pipeline],
    *,
    expected_failures: Mapping[str, str] | None = None,
    checks: Sequence[Check] | None = None,
    seed: int = 0,
    seconds: float = SECONDS,
) -> pytest.MarkDecorator:
    """Run a test once for every check.

    Args:
        pipeline: the user's parts, or a function that makes them when the first test runs.
        expected_failures: check name to the reason why it is known to fail; one that passes fails the test.
        checks: which checks; all of them by default.
        seed: decides the random choices of the checks.
        seconds: how long one check may take.

    Raises:
        NameUnknownError: an expected failure names no check.

    Examples:
        ::

            @parametrize_with_checks(my_pipeline, expected_failures={"vectors-do-not-decay": "as in the paper"})
            def test_my_pipeline(check):
                check()
    """
    require_names(expected_failures or {})
    suite = _Suite(pipeline=pipeline, expected=dict(expected_failures or {}), seed=seed, seconds=seconds)
    chosen: Sequence[Any] = all_checks() if checks is None else checks
    return pytest.mark.parametrize(
        "check", [pytest.param(BoundCheck(check=entry, suite=suite), id=entry.name) for entry in chosen]
    )
