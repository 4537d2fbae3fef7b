"""The defects of preference and reinforcement learning."""

from __future__ import annotations

import pytest

from harness.defects import rlhf
from harness.defects.defect import Defect
from harness.defects.reference import reinforcement
from tests.checks.planted import audit_with, checks_of, complaints

DEFECTS = [value for value in vars(rlhf).values() if isinstance(value, Defect)]
PIPELINES = {"reinforcement": reinforcement.PIPELINE, "reward": reinforcement.REWARD_PIPELINE}
CHECKS = checks_of("preferences", "policy", "rewards")


def test_the_stage_is_complete() -> None:
    """All thirteen entries of the stage are here."""
    assert len({defect.name for defect in DEFECTS}) == 13


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_each_is_caught_and_named_first(defect: Defect) -> None:
    """Each defect makes a check fail that names it as the likeliest."""
    report = audit_with(defect.plant(PIPELINES[defect.reference]), CHECKS)
    assert report.suspects[:1] == (defect.name,), str(report)


@pytest.mark.parametrize("name", PIPELINES)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_they_are_planted_in_is_clean(name: str, seed: int) -> None:
    """The same checks have nothing to say of the clean pipelines, whatever the seed."""
    assert complaints(audit_with(PIPELINES[name], CHECKS, seed=seed)) == []
