"""Windows that lose a part of the context or point elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from harness.checks.pipeline import Pipeline
from harness.defects.reference import REFERENCES, reader
from tests.checks.stage import audit_first, failed

READER = REFERENCES["reader"]
COVER, POINT = "windows-cover-the-context", "windows-point-at-their-answers"


def with_windows(change: Callable[[Any, list[dict[str, Any]]], list[dict[str, Any]]]) -> Pipeline:
    """The reader with changed windows of each row."""
    encode: Any = READER.encode

    def encode_changed(rows: Sequence[Any]) -> list[dict[str, Any]]:
        return [feature for row in rows for feature in change(row, encode([row]))]

    return Pipeline(tokenizer=READER.tokenizer, splits=READER.splits, encode=encode_changed, declared=READER.declared)


def test_windows_of_many_sizes_are_clean() -> None:
    """Any window that leaves room for the question, and any overlap that holds the answers, passes."""
    for size, stride in ((40, 10), (64, 40), (200, 8)):
        changed = with_windows(
            lambda row, _, size=size, stride=stride: reader.encode_rows(
                READER.tokenizer, [row], max_input_tokens=size, stride=stride
            )
        )
        assert failed(audit_first(changed)) == set()


def test_features_with_the_offsets_of_the_question_are_clean() -> None:
    """Offsets that were not cleaned of the question's are read rightly, by token types or by separators."""

    def keep_all(row: Any, features: list[dict[str, Any]]) -> list[dict[str, Any]]:
        question = READER.tokenizer(row["question"], return_offsets_mapping=True)["offset_mapping"]
        kept = [
            {
                **f,
                "offset_mapping": [
                    *question[:-1],
                    *(offset or (0, 0) for offset in f["offset_mapping"][len(question) - 1 :]),
                ],
            }
            for f in features
        ]
        return [{name: value for name, value in f.items() if name != "token_type_ids"} for f in kept]

    assert failed(audit_first(with_windows(keep_all))) == set()


def first_alone(row: Any, features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A plain truncation instead of windows."""
    return features[:1]


def no_overlap(row: Any, features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Windows side by side, which cut answers in two."""
    return reader.encode_rows(READER.tokenizer, [row], max_input_tokens=30, stride=0)


@pytest.mark.parametrize("change", [first_alone, no_overlap])
def test_windows_that_lose_something_are_seen(change: Callable[..., Any]) -> None:
    """What a single window cuts off, and answers that are in two halves, are reported."""
    report = audit_first(with_windows(change))
    assert COVER in failed(report)
    assert report.suspects[0] == "qa-window-skips-tokens"


def clamped(row: Any, features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Windows without the answer point at their last token of the context."""
    return [
        f
        if f["start_positions"]
        else {**f, "start_positions": len(f["input_ids"]) - 2, "end_positions": len(f["input_ids"]) - 2}
        for f in features
    ]


def one_late(row: Any, features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Answers end one token late."""
    return [{**f, "end_positions": f["end_positions"] + 1} if f["end_positions"] else f for f in features]


def never(row: Any, features: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """No window points anywhere."""
    return [{**f, "start_positions": 0, "end_positions": 0} for f in features]


@pytest.mark.parametrize("change", [clamped, one_late, never])
def test_windows_that_point_elsewhere_are_seen(change: Callable[..., Any]) -> None:
    """Positions of a clamp, one token late, and of no answer where there is one, are reported."""
    report = audit_first(with_windows(change))
    assert failed(report) == {POINT}
    assert "qa-answer-outside-window-mislabelled" in report.suspects[:2]


def test_questions_without_an_answer_are_clean() -> None:
    """A row that cannot be answered has windows that point at the first token."""

    def splits() -> dict[str, list[Any]]:
        found: Any = READER.splits
        nothing = {"text": [], "answer_start": []}
        return {
            name: [{**row, "answers": nothing} if number % 2 else row for number, row in enumerate(rows)]
            for name, rows in found().items()
        }

    assert failed(audit_first(replace(with_windows(lambda _, features: features), splits=splits))) == set()
