"""What the strategies promise, seen on the embedded demonstration as `harness run --strategy all` does it: minutes."""

from __future__ import annotations

import pytest

from harness.multitask import load_multitask
from harness.strategies.gaps import gaps_of_forgetting
from harness.strategies.lines import list_lines
from harness.strategies.study import Study, run_study

pytestmark = pytest.mark.long
HOLDING = ("replay", "ewc", "replay-ewc", "adapters")


@pytest.fixture(scope="module")
def study() -> Study:
    """All strategies on the four tasks of the T5, with one seed."""
    return run_study(load_multitask("multitask-t5"), list_lines())


def test_one_after_another_forgets_every_earlier_task(study: Study) -> None:
    """Each earlier task surely fell from its best."""
    gaps = gaps_of_forgetting(study.runs["sequential"])
    assert len(gaps) == 3
    assert all(gap.low > 0 for gap in gaps)


@pytest.mark.parametrize("name", HOLDING)
def test_holding_on_forgets_less(name: str, study: Study) -> None:
    """Paired by rows and adjusted for all pairs, and not because less was learned: the average is higher as well."""
    assert study.contest is not None
    for pairs in (study.contest.forgetting, study.contest.average):
        (better,) = [pair.better for pair in pairs if {pair.one, pair.other} == {"sequential", name}]
        assert better == name


def test_adapters_forget_nothing(study: Study) -> None:
    """Every output of an earlier task is the same after all later stages."""
    (stages,) = study.runs["adapters"].repeats
    for number, stage in enumerate(stages[1:], start=1):
        (task,) = stage.taught
        assert all(later.arms[task].outputs_hash == stage.arms[task].outputs_hash for later in stages[number:])


def test_joint_is_near_the_single_models_or_told_where_not(study: Study) -> None:
    """The averages are not told apart, and each task that surely loses is named."""
    assert study.contest is not None
    (pair,) = [pair for pair in study.contest.average if {pair.one, pair.other} == {"single", "joint"}]
    assert pair.better is None
    told = {entry.gap.task: entry.loses for entry in study.contest.single if entry.line == "joint"}
    assert set(told) == set(study.curriculum.names)
    for entry in study.contest.single:
        assert entry.loses <= (entry.gap.low > 0)
