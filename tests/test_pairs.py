"""Pairs of candidates: which really differ, with chance held over all pairs together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.config import GateSettings
from harness.errors import UsageError
from harness.pairs import compare_pairs
from harness.statistics import SHARES
from tests.arms import make_arm

GATE = GateSettings(flips=1000)
RNG = np.random.default_rng(0)
SCORES = RNG.normal(50, 10, 40).round(4)


def test_real_difference_is_named_and_chance_is_not() -> None:
    """Of three candidates one is 20 points ahead; the other two differ by noise around 0."""
    arms = {
        "a": [make_arm(SCORES.tolist())],
        "b": [make_arm((SCORES + RNG.normal(0, 1, 40)).round(4).tolist())],
        "c": [make_arm((SCORES + 20 + RNG.normal(0, 1, 40)).round(4).tolist())],
    }
    found = {(pair.one, pair.other): pair for pair in compare_pairs(arms, "rouge1", GATE)}
    assert list(found) == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [pair.better for pair in found.values()] == [None, "c", "c"]
    ahead = found["a", "c"]
    assert ahead.delta == pytest.approx(-20, abs=0.5)
    assert ahead.low < ahead.delta < ahead.high < -19


def test_less_is_better_where_the_metric_says_so() -> None:
    """The candidate with the lower perplexity is the better one; the difference keeps its sign."""
    low = make_arm({"ppl": SCORES.tolist()}, lower_is_better=("ppl",))
    high = make_arm({"ppl": (SCORES + 20 + RNG.normal(0, 1, 40)).round(4).tolist()}, lower_is_better=("ppl",))
    (pair,) = compare_pairs({"low": [low], "high": [high]}, "ppl", GATE)
    assert pair.delta < 0
    assert pair.better == "low"


def test_equal_shares_do_not_prove_candidates_equal() -> None:
    """Two candidates with one share in every row are told apart by no row, and their interval has a width."""
    signatures = {"macro_f1": f"macro_f1|{SHARES}|version:1"}
    arms = {name: [make_arm({"macro_f1": [50.0] * 60}, metrics=signatures)] for name in "ab"}
    (pair,) = compare_pairs(arms, "macro_f1", GATE)
    assert pair.low < -2 < 2 < pair.high
    assert pair.better is None


def test_more_pairs_make_each_less_sure() -> None:
    """The same two candidates have a larger p-value among six than by themselves."""
    arms = {name: [make_arm((SCORES + RNG.normal(0.4, 2, 40)).round(4).tolist())] for name in "abcdef"}
    (alone,) = compare_pairs({name: arms[name] for name in "ab"}, "rouge1", GATE)
    among = compare_pairs(arms, "rouge1", GATE)
    assert len(among) == 15
    assert among[0].p > alone.p


def test_candidates_that_are_equal_are_hardly_ever_told_apart() -> None:
    """Four candidates without any difference: in at most 5 % of 200 draws (and chance) some pair is called real."""
    generator = np.random.default_rng(1)
    alarms = 0
    for _ in range(200):
        scores = generator.normal(50, 10, (4, 30)).round(4)
        arms = {str(number): [make_arm(row.tolist())] for number, row in enumerate(scores)}
        alarms += any(pair.better for pair in compare_pairs(arms, "rouge1", GATE))
    # 200 draws at 5 %: 10 expected, more than 19 in less than 0.3 % of all cases.
    assert alarms <= 19


@given(st.permutations(["a", "b", "c"]))
@settings(max_examples=6, deadline=None)
def test_order_of_the_candidates_changes_no_finding(order: list[str]) -> None:
    """Which pairs differ, and how surely, does not hang on who is named first."""
    values = {"a": SCORES, "b": SCORES + 1 + SCORES[::-1] / 20, "c": SCORES + 9 - SCORES[::-1] / 10}
    found = compare_pairs({name: [make_arm(values[name].round(4).tolist())] for name in order}, "rouge1", GATE)
    assert {frozenset((pair.one, pair.other)): (round(pair.p, 9), pair.better) for pair in found} == {
        frozenset((pair.one, pair.other)): (round(pair.p, 9), pair.better)
        for pair in compare_pairs({name: [make_arm(values[name].round(4).tolist())] for name in "abc"}, "rouge1", GATE)
    }


def test_seeds_are_counted() -> None:
    """What one seed gains and the other loses is no difference, however sure each is over its rows."""

    def noise() -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return RNG.normal(0, 1, 40)

    steady = [make_arm((SCORES + noise()).round(4).tolist()) for _ in range(2)]
    torn = [make_arm((SCORES + shift + noise()).round(4).tolist()) for shift in (-20, 30)]
    (pair,) = compare_pairs({"steady": steady, "torn": torn}, "rouge1", GATE)
    assert pair.better is None
    with pytest.raises(UsageError, match="number of seeds"):
        compare_pairs({"steady": steady, "torn": torn[:1]}, "rouge1", GATE)


def test_other_rows_cannot_be_compared() -> None:
    """Two candidates on different rows are an error that names both; a single one has no pairs."""
    arms = {"one": [make_arm([1.0, 2.0])], "two": [make_arm([1.0, 2.0], ids=("x", "y"))]}
    with pytest.raises(UsageError, match=r"one and two cannot be compared: different rows \(0 of 2"):
        compare_pairs(arms, "rouge1", GATE)
    assert compare_pairs({"one": arms["one"]}, "rouge1", GATE) == ()
