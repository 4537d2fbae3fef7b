"""The fourteen defects of labels: each is caught and named by the checks of its stage, and the clean pipelines pass."""

from __future__ import annotations

import pytest

from harness.checks.check import Check
from harness.checks.suite import all_checks
from harness.defects import labels
from harness.defects.defect import Defect
from harness.defects.reference import REFERENCES
from tests.checks.planted import audit_with, checks_of, complaints, failures

MODULES = ("windows", "labels", "padding", "loss", "tags", "classes")
CHECKS = checks_of(*MODULES)
DEFECTS = [value for value in vars(labels).values() if isinstance(value, Defect)]


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_is_caught_and_named_first(defect: Defect) -> None:
    """A check fails, and the likeliest suspect of all failures is the defect itself."""
    report = audit_with(defect.plant(REFERENCES[defect.reference]), CHECKS)
    assert failures(report), defect.name
    assert report.suspects[0] == defect.name


@pytest.mark.parametrize("name", ["seq2seq", "causal", "assistant", "classifier", "tagger", "reader"])
def test_clean_pipelines_bring_no_complaint(name: str) -> None:
    """No check of labels fails, or ends with an error, on a clean pipeline."""
    assert complaints(audit_with(REFERENCES[name], CHECKS, seed=1)) == []


def test_all_fourteen_are_there() -> None:
    """Each entry of the catalogue's stage has its defect, under a name of its own."""
    assert len({defect.name for defect in DEFECTS}) == len(DEFECTS) == 14


@pytest.mark.parametrize("check", checks_of(*MODULES[1:]), ids=lambda check: check.name)
def test_every_check_is_part_of_the_suite(check: Check) -> None:
    """What the audit runs are these very checks."""
    assert check in all_checks()
