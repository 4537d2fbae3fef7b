"""Perplexity: of all tokens together, never a mean of means."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.rows import Row
from harness.errors import DataError
from harness.metrics import Output
from harness.metrics.perplexity import PERPLEXITY

MEASURED = st.lists(
    st.tuples(st.floats(0, 12), st.integers(1, 60)).map(lambda row: (row[0] * row[1], row[1])), min_size=1, max_size=20
)
"""Nats and tokens; 12 nats a token are a blind guess among 160,000."""


def shares(measured: list[tuple[float, int]]) -> np.ndarray:
    rows = [Row(id=f"row-{n}", input="", target="") for n in range(len(measured))]
    outputs = [Output(text="", nats=nats, tokens=tokens) for nats, tokens in measured]
    return PERPLEXITY.score(outputs, rows)["perplexity"]


@given(MEASURED)
def test_mean_share_is_the_perplexity_of_all_tokens(measured: list[tuple[float, int]]) -> None:
    """exp(sum of nats / sum of tokens), whatever the rows' lengths."""
    nats, tokens = map(sum, zip(*measured, strict=True))
    found = shares(measured)
    assert found.mean() == pytest.approx(math.exp(nats / tokens), abs=1e-12 * np.abs(found).max())


@given(MEASURED)
def test_rows_that_are_joined_leave_the_score(measured: list[tuple[float, int]]) -> None:
    """How the text is cut into rows does not matter."""
    together = (sum(nats for nats, _ in measured), sum(tokens for _, tokens in measured))
    found = shares(measured)
    assert found.mean() == pytest.approx(float(shares([together])[0]), abs=1e-12 * np.abs(found).max())


def test_known_answer_by_hand() -> None:
    """A blind guess among 50 words has perplexity 50; uneven rows have 2, and their mean would be 512.5."""
    blind = math.log(50)
    assert shares([(3 * blind, 3), (7 * blind, 7)]) == pytest.approx([50, 50])
    uneven = shares([(0.0, 9), (math.log(1024), 1)])
    assert uneven.mean() == pytest.approx(2)
    assert uneven[0] < 2 < uneven[1]


@pytest.mark.parametrize(
    "output", [Output(text="words"), Output(text="", nats=1.0), Output(text="", nats=math.inf, tokens=3)]
)
def test_without_likelihood_there_is_no_perplexity(output: Output) -> None:
    """Outputs that carry no likelihood are refused, and the row is named."""
    row = Row(id="row-7", input="", target="words")
    with pytest.raises(DataError, match=r'"row-7" has a likelihood of .* nats over . tokens'):
        PERPLEXITY.score([output], [row])
