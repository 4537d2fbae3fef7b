"""Distinct words and pairs: shares that leave out one row each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.distinct import DISTINCT
from harness.metrics.texts import score_texts

TEXTS = st.lists(st.lists(st.sampled_from("abcd"), max_size=6).map(" ".join), min_size=1, max_size=8)


def plain(texts: list[str], order: int) -> float:
    """Distinct n-grams by the definition."""
    listed = [tuple(words[n : n + order]) for words in map(str.split, texts) for n in range(len(words) - order + 1)]
    return 100 * len(set(listed)) / len(listed) if listed else 0.0


def shares(texts: list[str], order: int) -> np.ndarray:
    return score_texts(DISTINCT, texts, [[] for _ in texts])[f"distinct{order}"]


@pytest.mark.parametrize("order", [1, 2])
@given(TEXTS)
def test_mean_share_is_the_definition(order: int, texts: list[str]) -> None:
    """Different n-grams as a share of all, over the whole set; empty outputs add nothing."""
    assert shares(texts, order).mean() == pytest.approx(plain(texts, order), abs=1e-9)


@pytest.mark.parametrize("order", [1, 2])
@given(TEXTS.filter(lambda texts: len(texts) > 1))
def test_shares_leave_out_one_row_each(order: int, texts: list[str]) -> None:
    """The quick count of what only one row has is the count without the row."""
    found = shares(texts, order)
    without = np.array([plain(texts[:n] + texts[n + 1 :], order) for n in range(len(texts))])
    assert found - found.mean() == pytest.approx((len(texts) - 1) * (without.mean() - without), abs=1e-9)


def test_known_answer_by_hand() -> None:
    """3 of 5 words and 2 of 3 pairs are different; nothing at all is 0."""
    assert shares(["a b c", "a b"], 1).mean() == pytest.approx(60)
    assert shares(["a b c", "a b"], 2).mean() == pytest.approx(200 / 3)
    assert shares(["", ""], 1).tolist() == [0, 0]


def test_a_parrot_is_found() -> None:
    """One sentence over and over has few distinct words, and a row that says something else has the larger share."""
    found = shares(["we do not know"] * 9 + ["yes"], 1)
    assert found.mean() < 15
    assert found[-1] == found.max()
