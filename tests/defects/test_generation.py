"""The defects of generation."""

from __future__ import annotations

import pytest

from harness.defects import generation
from harness.defects.defect import Defect
from harness.defects.reference import causal, seq2seq, translator, verbaliser
from tests.checks.planted import audit_with, checks_of, complaints

DEFECTS = [value for value in vars(generation).values() if isinstance(value, Defect)]
PIPELINES = {
    "causal": causal.PIPELINE,
    "seq2seq": seq2seq.PIPELINE,
    "translator": translator.PIPELINE,
    "verbaliser": verbaliser.PIPELINE,
}
CHECKS = checks_of("generation", "decoding")


def test_the_stage_is_complete() -> None:
    """All eleven entries of the stage are here."""
    assert len({defect.name for defect in DEFECTS}) == 11


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_each_is_caught_and_named_first(defect: Defect) -> None:
    """Each defect makes a check fail that names it as the likeliest."""
    report = audit_with(defect.plant(PIPELINES[defect.reference]), CHECKS)
    assert report.suspects[:1] == (defect.name,), str(report)


@pytest.mark.parametrize("name", PIPELINES)
def test_what_they_are_planted_in_is_clean(name: str) -> None:
    """The same checks have nothing to say of the clean pipelines."""
    assert complaints(audit_with(PIPELINES[name], CHECKS)) == []
