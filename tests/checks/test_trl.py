"""A script that hands everything to TRL: the checks hear its trainer too."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest

from tests.checks.planted import audit_with, checks_of, complaints, failures

trl_sft = pytest.importorskip("tests.checks.pipelines.trl_sft", reason="TRL is not installed")
CHECKS = checks_of("labels")


def test_script_passes_and_its_unmasked_prompt_goes_red() -> None:
    """The labels are heard in training itself; a loss over the prompt as well is seen and named."""
    report = audit_with(trl_sft.PIPELINE, CHECKS)
    assert complaints(report) == []
    assert report.passed
    whole = replace(trl_sft.PIPELINE, train=partial(trl_sft.train, completion_only=False))
    found = failures(audit_with(whole, CHECKS))
    assert next(iter(found.values()))[0] == "prompt-not-masked"
