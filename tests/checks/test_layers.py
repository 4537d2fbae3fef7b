"""Measuring what an adapter adds to a layer from outside."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.pytorch_utils import Conv1D

from harness.checks.layers import Kind, layer_changes, matrix_of, relate, relations, tell_relations


def matrix(seed: int, rows: int = 6, columns: int = 6) -> torch.Tensor:
    return torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed))


@given(seed=st.integers(0, 50), factor=st.floats(0.1, 8).filter(lambda factor: abs(factor - 1) > 0.01))
def test_a_scaled_change_is_recognised_with_its_factor(seed: int, factor: float) -> None:
    """Whatever the change and the factor, both come out."""
    relation = relate(factor * matrix(seed), matrix(seed))
    assert relation.kind is Kind.SCALED
    assert relation.factor == pytest.approx(factor, rel=1e-3)


@given(seed=st.integers(0, 50))
def test_each_kind_of_wrong_change_has_its_name(seed: int) -> None:
    """Equal, absent, transposed, inexact, unasked and any other change are told apart."""
    right = matrix(seed)
    found = {
        Kind.EQUAL: right + 1e-6 * matrix(seed + 100),
        Kind.ABSENT: torch.zeros_like(right),
        Kind.TRANSPOSED: right.T,
        Kind.INEXACT: right + 0.01 * matrix(seed + 100),
        Kind.OTHER: matrix(seed + 100),
    }
    assert {kind: relate(change, right).kind for kind, change in found.items()} == {kind: kind for kind in found}
    assert relate(right, torch.zeros_like(right)).kind is Kind.UNASKED


def test_a_linear_layer_and_a_conv1d_are_measured_in_the_same_direction() -> None:
    """Inputs are rows and outputs are columns, however the layer stores its weight."""
    linear, conv = torch.nn.Linear(5, 3), Conv1D(3, 5)
    conv.weight.data = linear.weight.data.T.clone()
    assert torch.allclose(matrix_of(linear, 5), linear.weight.T, atol=1e-6)
    assert torch.allclose(matrix_of(conv, 5), matrix_of(linear, 5), atol=1e-6)


def test_changes_are_found_behind_the_names_of_a_wrapper() -> None:
    """A model whose modules have other names before those of the base is compared layer by layer all the same."""
    base = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 2))
    inner = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 2))
    inner.load_state_dict(base.state_dict())
    inner[1].weight.data += 1.0
    changes = layer_changes(base, torch.nn.ModuleDict({"inside": inner}))
    assert {name: round(float(change.abs().max()), 3) for name, change in changes.items()} == {"0": 0.0, "1": 1.0}


def test_relations_are_told_with_counts_and_factors() -> None:
    """The text counts the wrong layers and names the factor."""
    right = {"a": matrix(1), "b": matrix(2), "untouched": torch.zeros(6, 6)}
    found = {"a": 2 * right["a"], "b": right["b"], "untouched": torch.zeros(6, 6)}
    related = relations(found, right)
    assert set(related) == {"a", "b"}
    assert tell_relations(related) == "of 2 adapted layers: 1 scaled, scaled by 2"
