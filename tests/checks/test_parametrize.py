"""The suite in pytest, in a session of its own."""

from __future__ import annotations

import pytest

FILE = """
from harness import Declared, Pipeline, parametrize_with_checks

ROWS = [{"id": str(n), "input": f"in {n}", "target": f"text number {n}"} for n in range(6)]


def metric(outputs, references):
    return {"em": sum(map(str.__eq__, outputs, references)) / len(references)}


def broken():
    def fails(outputs, references):
        raise KeyError("no such column")
    return Pipeline(splits=lambda: {"train": ROWS}, metric=fails)


CLEAN = Pipeline(splits=lambda: {"train": ROWS}, metric=metric)
UNIT = Pipeline(splits=lambda: {"train": ROWS}, metric=metric, declared=Declared(metric_range=(0.0, 100.0)))


@parametrize_with_checks(CLEAN)
def test_clean(check):
    check()


@parametrize_with_checks(UNIT, expected_failures={"perfect-outputs-score-the-maximum": "percent one day"})
def test_known(check):
    check()


@parametrize_with_checks(CLEAN, expected_failures={"perfect-outputs-score-the-maximum": "mended long ago"})
def test_stale(check):
    check()


@parametrize_with_checks(UNIT)
def test_red(check):
    check()


@parametrize_with_checks(broken)
def test_raises(check):
    check()
"""


def test_each_check_is_a_test_of_its_own(pytester: pytest.Pytester) -> None:
    """One id a check: passed, skipped with the reason, failed with suspects, expected and stale failures."""
    pytester.makepyfile(FILE)
    result = pytester.runpytest_subprocess("-rsxf", "-k", "perfect", "-v")
    result.stdout.fnmatch_lines(["*test_clean[[]perfect-outputs-score-the-maximum[]] PASSED*"])
    result.stdout.fnmatch_lines(["XFAIL *test_known[[]perfect-outputs-score-the-maximum[]] - percent one day*"])
    result.stdout.fnmatch_lines(["*stale expected failure*mended long ago*"])
    result.stdout.fnmatch_lines(["*likely: unit-mismatch-percent-fraction*"])
    result.stdout.fnmatch_lines(["*KeyError: 'no such column'*"])
    result.assert_outcomes(passed=1, xfailed=1, failed=3)
    assert "harness/checks" not in result.stdout.str()


def test_checks_without_their_parts_are_skipped_with_the_reason(pytester: pytest.Pytester) -> None:
    """A pipeline of a metric alone skips what it has no parts for, and says which."""
    pytester.makepyfile(FILE)
    result = pytester.runpytest_subprocess("-rs", "-k", "test_clean")
    result.stdout.fnmatch_lines(["*SKIPPED*the pipeline has no *"])
    assert result.parseoutcomes()["passed"] >= 4
    assert "failed" not in result.parseoutcomes()
