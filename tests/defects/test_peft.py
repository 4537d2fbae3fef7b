"""The defects of parameter-efficient fine-tuning, one by one."""

from __future__ import annotations

from functools import cache

import pytest

from harness.checks import adapters, contrast, merging
from harness.checks.check import Check
from harness.checks.report import AuditReport
from harness.checks.suite import audit
from harness.defects import peft
from harness.defects.defect import Defect
from harness.defects.reference import lora

CHECKS = tuple(
    value for module in (adapters, merging, contrast) for value in vars(module).values() if isinstance(value, Check)
)
DEFECTS = {value.name: value for value in vars(peft).values() if isinstance(value, Defect)}
REFERENCES = {"lora": lora.SEQ2SEQ, "lora-causal": lora.CAUSAL, "lora-classifier": lora.CLASSIFIER}


@cache
def report_on(name: str) -> AuditReport:
    defect = DEFECTS[name]
    return audit(defect.plant(REFERENCES[defect.reference]), checks=CHECKS)


@pytest.mark.long
@pytest.mark.parametrize("name", DEFECTS)
def test_each_defect_is_caught_and_named_first(name: str) -> None:
    """Some check fails, and the defect is the likeliest suspect of all."""
    report = report_on(name)
    assert report.bad
    assert report.suspects[0] == name, str(report)


@pytest.mark.long
def test_every_check_fails_on_a_defect() -> None:
    """No check is there that nothing can fail."""
    failed = {result.check.name for name in DEFECTS for result in report_on(name).bad}
    assert failed == {check.name for check in CHECKS}
