"""The checks of data and tokens on pipelines without a fault."""

from __future__ import annotations

import pytest

from harness.defects.clean import SHAPES, make_shape
from tests.checks.stage import audit_first, failed, reference


@pytest.mark.parametrize("name", ["chat", "classifier", "fewshot", "pretrained", "reader", "tagger", "translator"])
def test_clean_references_pass(name: str) -> None:
    """No check of data or tokens fails on a clean reference."""
    assert failed(audit_first(reference(name))) == set()


@pytest.mark.parametrize(("seed", "shape"), enumerate(SHAPES))
def test_clean_shapes_pass(shape: str, seed: int) -> None:
    """No check of data or tokens fails on a clean shape, whatever its rows and weights."""
    assert failed(audit_first(make_shape(shape, seed))) == set()
