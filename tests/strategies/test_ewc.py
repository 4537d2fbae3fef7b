"""Elastic weight consolidation against a case that is worked out by hand: logistic regression with two weights."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harness.strategies.ewc import Penalty, copy_weights, estimate_fisher, make_even, select_weights

ROWS = ((1.0, 2.0, 1.0), (-1.0, 1.0, 0.0), (0.5, -2.0, 1.0))
"""Two inputs and the label."""


def logistic(weight: tuple[float, float]) -> torch.nn.Linear:
    """p(1 | x) = 1 / (1 + exp(-w x))."""
    model = torch.nn.Linear(2, 1, bias=False)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([weight]))
    return model


def nats(model: torch.nn.Linear) -> list[torch.Tensor]:
    """The negative log-likelihood of each row."""
    return [
        torch.nn.functional.binary_cross_entropy_with_logits(model(torch.tensor(row[:2])), torch.tensor(row[2:]))
        for row in ROWS
    ]


def test_fisher_of_a_logistic_model() -> None:
    """The gradient of a row is (p - y) x; the Fisher is the mean of its square, weight by weight."""
    first, second = 0.3, -0.2
    model = logistic((first, second))
    expected = [0.0, 0.0]
    for one, two, label in ROWS:
        wrong = 1 / (1 + math.exp(-(first * one + second * two))) - label
        expected[0] += (wrong * one) ** 2 / len(ROWS)
        expected[1] += (wrong * two) ** 2 / len(ROWS)
    found = estimate_fisher(select_weights(model, {"weight"}), nats(model))["weight"]
    assert found.flatten().tolist() == pytest.approx(expected, rel=1e-5)
    # What is squared is not the mean gradient, in which rows cancel each other.
    (mean,) = torch.autograd.grad(torch.stack(nats(model)).mean(), model.weight)
    assert mean.square().flatten().tolist() != pytest.approx(expected, rel=0.2)


def test_penalty_and_its_gradient_by_hand() -> None:
    """With lambda 3, importances 2 and 5, and steps of 0.1 and -0.2: 3/2 (2 * 0.01 + 5 * 0.04) = 0.33; pull 0.6, -3."""
    model = logistic((1.1, 0.8))
    penalty = Penalty({"weight": torch.tensor([[1.0, 1.0]])}, {"weight": torch.tensor([[2.0, 5.0]])}, strength=3.0)
    value = penalty(dict(model.named_parameters()))
    value.backward()
    assert value.item() == pytest.approx(0.33)
    assert model.weight.grad is not None
    assert model.weight.grad.flatten().tolist() == pytest.approx([3 * 2 * 0.1, 3 * 5 * -0.2])
    assert not list(penalty.parameters())


@given(st.floats(-2, 2), st.floats(-2, 2))
def test_anchor_does_not_move_with_the_weights(one: float, two: float) -> None:
    """Behind a step away from where it was taken, the penalty is there; an anchor by reference would never cost."""
    model = logistic((one, two))
    weights = select_weights(model, {"weight"})
    anchor = copy_weights(weights)
    assert Penalty(anchor, {"weight": torch.ones(1, 2)}, strength=2.0)(weights).item() == 0
    with torch.no_grad():
        model.weight.add_(0.5)
    assert Penalty(anchor, {"weight": torch.ones(1, 2)}, strength=2.0)(weights).item() == pytest.approx(0.5, rel=1e-4)


def test_even_importances_have_a_mean_of_one() -> None:
    """Over all weights, not tensor by tensor: how they compare stays; where nothing matters, nothing is divided."""
    even = make_even({"a": torch.tensor([1.0, 3.0]), "b": torch.tensor([[8.0]])})
    assert even["a"].tolist() == pytest.approx([0.25, 0.75])
    assert even["b"].tolist() == [pytest.approx([2.0])]
    assert make_even({"a": torch.zeros(2)})["a"].tolist() == [0, 0]


def test_two_anchors_are_as_one_with_the_summed_importance() -> None:
    """Of two penalties around the same place the sum is one penalty with the sum of the importances."""
    model = logistic((0.4, 0.7))
    weights = dict(model.named_parameters())
    anchor, first, second = ({"weight": torch.tensor([pair])} for pair in ((0.0, 1.0), (2.0, 3.0), (5.0, 7.0)))
    summed = {"weight": first["weight"] + second["weight"]}
    apart = sum(Penalty(anchor, one, strength=1.5)(weights).item() for one in (first, second))
    assert Penalty(anchor, summed, strength=1.5)(weights).item() == pytest.approx(apart)


def test_tied_and_frozen_weights() -> None:
    """A weight under two names counts once, and one that cannot move is not held."""
    model = torch.nn.Sequential(torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    model.append(torch.nn.Linear(2, 2, bias=False).requires_grad_(requires_grad=False))
    assert [*select_weights(model, set(model.state_dict()))] == ["0.weight"]
