"""What share each task has, and which examples come in which batch."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checks.mixing import chi_square
from harness.strategies.mixing import count_examples, plan_batches, share_tasks

SIZES = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 60), min_size=2)


def test_shares_by_hand() -> None:
    """Of 900 and 100 examples the second has a tenth, a quarter at temperature 2 (30 to 10), or a half."""
    sizes = {"a": 900, "b": 100}
    assert share_tasks(sizes, "proportional", temperature=2)["b"] == pytest.approx(0.1)
    assert share_tasks(sizes, "temperature", temperature=2)["b"] == pytest.approx(0.25)
    assert share_tasks(sizes, "equal", temperature=2)["b"] == pytest.approx(0.5)


@given(SIZES, st.floats(1, 100))
def test_shares_sum_to_one_and_none_is_without(sizes: dict[str, int], temperature: float) -> None:
    """A temperature of 1 is proportional, a very high one even, and each between evens the shares out."""
    shares = share_tasks(sizes, "temperature", temperature=temperature)
    proportional = share_tasks(sizes, "proportional", temperature=temperature)
    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares.values()) > 0
    assert share_tasks(sizes, "temperature", temperature=1) == pytest.approx(proportional)
    assert share_tasks(sizes, "temperature", temperature=1e9) == pytest.approx(dict.fromkeys(sizes, 1 / len(sizes)))
    assert max(shares.values()) <= max(proportional.values()) + 1e-9


@given(SIZES, st.integers(6, 500))
def test_counts_are_next_to_the_shares(sizes: dict[str, int], total: int) -> None:
    """Each task has its share of the total to less than one example, and at least one."""
    shares = share_tasks(sizes, "proportional", temperature=1)
    counts = count_examples(shares, total)
    assert all(count >= 1 and (count == 1 or abs(count - shares[t] * total) < 1) for t, count in counts.items())
    assert sum(counts.values()) == total or min(shares.values()) * total < 1


@given(SIZES, st.integers(1, 9), st.booleans(), st.integers(0, 9))
def test_every_example_comes_as_often_as_any_other_of_its_task(
    sizes: dict[str, int],
    batch_size: int,
    one_task: bool,  # noqa: FBT001
    seed: int,
) -> None:
    """The plan has the counts that were asked for, passes through all examples before any comes again, and batches are
    full.
    """
    counts = {
        task: 2 * size + 1 if number % 2 else (size + 1) // 2 for number, (task, size) in enumerate(sizes.items())
    }
    rng = random.Random(seed)
    batches = plan_batches(sizes, counts, batch_size=batch_size, one_task=one_task, rng=rng)
    seen = Counter(place for batch in batches for place in batch)
    for task, size in sizes.items():
        often = [seen[task, number] for number in range(size)]
        assert sum(often) == counts[task]
        assert max(often) - min(often) <= 1
    assert seen.total() == sum(counts.values())
    short = [batch for batch in batches if len(batch) < batch_size]
    assert max(map(len, batches)) <= batch_size
    assert len(short) <= (len(sizes) if one_task else 1)
    assert not one_task or all(len({task for task, _ in batch}) == 1 for batch in batches)


@pytest.mark.parametrize("one_task", [True, False])
def test_mixture_is_the_same_early_and_late(one_task: bool) -> None:  # noqa: FBT001
    """The first half of a plan has the declared shares, as far as chance goes; in turns, or sorted, it would not."""
    shares = {"a": 0.6, "b": 0.3, "c": 0.1}
    rng = random.Random(3)
    sizes = dict.fromkeys(shares, 50)
    batches = plan_batches(sizes, count_examples(shares, 4000), batch_size=4, one_task=one_task, rng=rng)
    # Of batches of one task the batches are what chance deals.
    half = Counter(batch[0][0] for batch in batches[: len(batches) // 2])
    assert chi_square(half, shares) > 1e-3
    assert half.keys() == shares.keys()


def test_the_seed_decides_the_plan() -> None:
    """The same seed plans the same, and another otherwise."""
    sizes = {"a": 20, "b": 20}
    plans = [plan_batches(sizes, sizes, batch_size=4, one_task=False, rng=random.Random(seed)) for seed in (1, 1, 2)]
    assert plans[0] == plans[1] != plans[2]
