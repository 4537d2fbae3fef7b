"""Rules mean what the processors of transformers mean, and the best continuations are the best."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import MinLengthLogitsProcessor, NoRepeatNGramLogitsProcessor

from harness.generation.graph.rules import Rules, force_token
from harness.generation.graph.search import best_continuations


def make_rules(**changes: object) -> Rules:
    given: dict[str, object] = {
        "beams": 1, "min_length": 0, "max_length": 20, "length_penalty": 1.0, "early_stopping": False,
        "no_repeat_ngram_size": 0, "eos": (1,), "pad": 0, "start": 0, "forced_bos": None, "forced_eos": None,
    }  # fmt: skip
    return Rules(**{**given, **changes})  # type: ignore[arg-type]


@given(
    seed=st.integers(0, 10_000),
    length=st.integers(1, 16),
    size=st.integers(1, 4),
    minimum=st.integers(0, 20),
    slack=st.integers(0, 5),
    known=st.integers(0, 15),
)
def test_forbidden_tokens_are_those_of_transformers(
    seed: int, length: int, size: int, minimum: int, slack: int, known: int
) -> None:
    """N-grams that would repeat and an EOS that would come too early; any number of places, and a prompt before."""
    known = min(known, length - 1)
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, 4, (3, length + slack), generator=generator)
    scores = torch.randn(3, 6, generator=generator)
    expected = NoRepeatNGramLogitsProcessor(size)(tokens[:, :length], scores.clone())
    expected = MinLengthLogitsProcessor(minimum, torch.tensor([1]))(tokens[:, :length], expected)
    ours = scores.clone()
    rules = make_rules(no_repeat_ngram_size=size, min_length=minimum - known)
    rules.apply(ours, tokens[:, known:], torch.tensor([length - 1 - known]), length - known + slack, tokens[:, :known])
    assert torch.equal(ours, expected)


@given(
    seed=st.integers(0, 10_000), vocabulary=st.sampled_from([9, 128, 300, 1000]), beams=st.integers(1, 4),
    count=st.integers(1, 8), forbidden=st.floats(0, 0.99),
)  # fmt: skip
def test_best_continuations_are_the_best(seed: int, vocabulary: int, beams: int, count: int, forbidden: float) -> None:
    """The same scores, beams and tokens as by sorting them all, as far as they are allowed at all."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(2, beams, vocabulary, generator=generator)
    scores[torch.rand(scores.shape, generator=generator) < forbidden] = -math.inf
    before = torch.randn(2, beams, generator=generator)
    expected = (scores + before[..., None]).flatten(1).topk(count)
    found, parents, tokens = best_continuations(scores, before, count)
    assert torch.equal(found, expected.values)
    finite = found > -math.inf
    assert torch.equal((parents * vocabulary + tokens)[finite], expected.indices[finite])
    assert ((tokens >= 0) & (tokens < vocabulary)).all()


def test_forced_tokens_come_first_and_last() -> None:
    """The first step has the forced BOS, the last the forced EOS, the others none; forcing leaves that token alone."""
    rules = make_rules(max_length=5, forced_bos=7, forced_eos=3)
    assert [rules.force(step) for step in range(4)] == [7, None, None, 3]
    scores = torch.randn(2, 9)
    force_token(scores, 7)
    assert scores.argmax(-1).tolist() == [7, 7]
    assert (scores[:, 7] == 0).all()
    assert scores.isinf().sum() == 16


@pytest.mark.parametrize(("eos", "expected"), [((), 6), ((1,), 6), ((1, 2), 9)])
def test_enough_candidates_go_on(eos: tuple[int, ...], expected: int) -> None:
    """With every beam ended by each EOS there are still as many candidates as beams."""
    assert make_rules(beams=3, eos=eos).candidates == expected
