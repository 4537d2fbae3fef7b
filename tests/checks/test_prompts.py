"""Prompts that hold too much, too little, or differ between training and generation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checks.pipeline import Pipeline
from harness.checks.prompt_ids import count_prompt, shared_beginning, surroundings
from harness.defects.reference import REFERENCES, causal, prompted
from tests.checks.stage import audit_first, failed

CAUSAL = REFERENCES["causal"]


def ask_with(encode_prompt: Callable[..., Any]) -> Pipeline:
    """The causal pipeline with other prompts for generation."""
    return replace(
        CAUSAL,
        encode_prompt=encode_prompt,
        generate=partial(prompted.generate_texts, CAUSAL.tokenizer, encode_prompt),
    )


def rewrite(change: Callable[[str], str]) -> Callable[[Sequence[Any]], Any]:
    """Prompts of generation, changed as texts."""
    return lambda rows: CAUSAL.tokenizer([change(causal.write_prompt(row)) for row in rows])["input_ids"]


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("Summary:", "summary:"),
        lambda text: text.replace("\n", " "),
        lambda text: "Question\n" + text,
    ],
    ids=["case", "line break", "header"],
)
def test_other_prompts_in_generation_are_seen(change: Callable[[str], str]) -> None:
    """Another case, line break or header in generation is a skew between training and generation."""
    report = audit_first(ask_with(rewrite(change)))
    assert "training-and-generation-prompts-are-the-same" in failed(report)
    assert "train-inference-prompt-skew" in report.suspects[:3]


def test_a_text_that_is_lowered_only_for_odd_words_is_seen() -> None:
    """Prompts that agree on the pipeline's own rows and differ on odd texts come from two tokenizers."""
    report = audit_first(ask_with(rewrite(lambda text: text.replace("  ", " "))))
    assert report.suspects[0] == "slow-fast-tokenizer-mismatch"


def test_prompts_that_lose_their_beginning_are_seen() -> None:
    """Keeping the last tokens of a prompt alone loses what stands first, and the report says so."""

    def encode_prompt(rows: Sequence[Any]) -> list[list[int]]:
        encode: Any = CAUSAL.encode_prompt
        return [ids[-30:] for ids in encode(rows)]

    report = audit_first(ask_with(encode_prompt))
    assert "long-prompts-keep-both-ends" in failed(report)
    assert "eval-context-left-truncated" in report.suspects[:3]


def test_a_prompt_with_the_answer_as_a_hint_is_seen() -> None:
    """A prompt that tells the answer in any form is reported."""
    hinting = Pipeline(splits=CAUSAL.splits, prompt=lambda row: f"{row['input']}\nHint: {row['target'].upper()}")
    assert failed(audit_first(hinting)) == {"prompts-hold-no-answers"}


def test_answers_that_stand_in_the_text_are_fine() -> None:
    """An extractive row has its answer in its input, and its prompt may have it too."""

    def splits() -> dict[str, list[Any]]:
        found: Any = CAUSAL.splits
        return {name: [{**row, "target": row["input"][:40]} for row in rows] for name, rows in found().items()}

    assert failed(audit_first(Pipeline(splits=splits, prompt=causal.write_prompt))) == set()


@given(st.lists(st.lists(st.integers(0, 3), max_size=6), min_size=1, max_size=4))
def test_surroundings_stand_around_every_prompt(prompts: list[list[int]]) -> None:
    """What is found as beginning and end is the beginning and end of each prompt, and no longer one would be."""
    first, last = surroundings(prompts)
    assert all(prompt[: len(first)] == first for prompt in prompts)
    assert all(prompt[len(prompt) - len(last) :] == last for prompt in prompts)
    assert len({tuple(prompt[: len(first) + 1]) for prompt in prompts}) > 1 or first in prompts
    assert shared_beginning(prompts) == first


@given(prompt=st.lists(st.integers(0, 9), min_size=1), completion=st.lists(st.integers(0, 9), min_size=1))
def test_the_prompt_ends_where_labels_begin(prompt: list[int], completion: list[int]) -> None:
    """Masked labels say how long the prompt is; unmasked ones say nothing; an encoder reads prompt alone."""
    ids = prompt + completion
    assert count_prompt({"input_ids": ids, "labels": [-100] * len(prompt) + completion}) == len(prompt)
    assert count_prompt({"input_ids": ids, "labels": ids}) is None
    assert count_prompt({"input_ids": ids, "labels": [17, *ids]}) == len(ids)
