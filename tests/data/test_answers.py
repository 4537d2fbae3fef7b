"""Answers in records: every shape gives the same spans, every fault a clear error."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.data.answers import find_occurrences, read_answers
from harness.data.columns import Cells, EmptyCell
from harness.errors import DataError

CONTEXT = "In Paris, Ana met Bo; then Bo left Paris."
BO, PARIS = ((18, 20), (27, 29)), ((3, 8), (35, 40))


def read(context: str = CONTEXT, **record: Any) -> tuple[tuple[int, int], ...]:
    names = tuple(name for name in ("answers", "answer") if name in record)
    cells = Cells(record=record, id="0", where="rows.jsonl", number=7, columns={"target": names})
    return read_answers(cells, context)


SQUAD = {"text": ["Bo", "Paris", "Bo"], "answer_start": [27, 3, 27]}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"answers": SQUAD}, (BO[1], PARIS[0])),
        ({"answers": json.dumps(SQUAD)}, (BO[1], PARIS[0])),
        ({"answers": [{"text": "Bo", "answer_start": 18}, {"text": "Paris", "answer_start": 35}]}, (BO[0], PARIS[1])),
        ({"answers": {"text": "Bo", "answer_start": 18}}, BO[:1]),
        ({"answer": "Bo", "answer_start": 27}, BO[1:]),
        ({"answer": "Bo", "answer_start": "27"}, BO[1:]),
        ({"answer": "Bo"}, BO),
        ({"answer": "Bo", "answer_start": None}, BO),
        ({"answer": "Bo", "answer_start": ""}, BO),
        ({"answers": ["Bo", "Paris"]}, BO + PARIS),
        ({"answers": '["Bo", "Paris"]', "answer_start": "[18, 3]"}, (BO[0], PARIS[0])),
        ({"answers": {"text": ["Bo"]}}, BO),
        ({"answer": " Bo; ", "answer_start": 18, "context": "In Paris, Ana met  Bo; then Bo left Paris."}, ((19, 22),)),
        ({"answer": "[Bo]", "context": "who [Bo]"}, ((4, 8),)),
        ({"answer": "{Bo", "context": "who {Bo"}, ((4, 7),)),
        ({"answers": {"text": [], "answer_start": []}}, ()),
        ({"answers": {"text": [""], "answer_start": [-1]}}, ()),
        ({"answers": []}, ()),
        ({"answers": "[]"}, ()),
        ({"answer": ""}, ()),
    ],
)
def test_every_shape_of_answers_is_read(record: dict[str, Any], expected: object) -> None:
    """Mappings of lists, lists of mappings, texts and JSON in a cell give the places of the answers, each once."""
    context = record.get("context", CONTEXT)
    assert read(context, **{name: value for name, value in record.items() if name != "context"}) == expected


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (
            {"answers": {"text": ["Bo"], "answer_start": [19]}},
            r"row 8 \(counted from 1\).*'Bo' should begin at character 19.*'o;' stands",
        ),
        ({"answers": {"text": ["Bo"], "answer_start": [19]}}, "begins at 18, 27; count characters"),
        ({"answers": {"text": ["Bo"], "answer_start": [99]}}, "has 41; that is outside the text"),
        ({"answers": {"text": ["Bo"], "answer_start": [-1]}}, "that is outside the text"),
        ({"answers": {"text": ["Cy"], "answer_start": [3]}}, "'Pa' stands there.*stands nowhere in the passage"),
        ({"answer": "Cy"}, "'Cy' stands nowhere in the passage"),
        ({"answers": {"text": ["Bo", "Bo"], "answer_start": [18]}}, "2 answers and 1 places"),
        ({"answer": "Bo", "answer_start": 1.5}, "no whole number but 1.5"),
        ({"answer": "Bo", "answer_start": True}, "no whole number but True"),
        ({"answer": 1745}, "holds no answers: 1745"),
        ({"answers": {"start": 3}}, "holds no answers"),
        ({"answers": ["Bo", None]}, "holds no answers"),
    ],
)
def test_fault_is_named_with_its_row(record: dict[str, Any], message: str) -> None:
    """What is wrong with an answer is said with the row, and with what stands in its place."""
    with pytest.raises(DataError, match=message):
        read(**record)


def test_missing_answers_are_not_no_answer() -> None:
    """A cell without a value is an empty cell, which may be dropped; an empty list says that nothing answers."""
    with pytest.raises(EmptyCell):
        read(answers=None)


@given(st.text("ab _.", max_size=12), st.text("ab.", min_size=1, max_size=3))
@example("party art", "art")
@example("party", "art")
@example("a.b a+b", "a.b")
def test_occurrences_are_those_of_the_letters(text: str, wanted: str) -> None:
    """Each occurrence holds the very text; whole words are preferred, and none is missed but overlapping ones."""
    found = find_occurrences(text, wanted)
    assert all(text[start:end] == wanted for start, end in found)
    assert bool(found) == (wanted in text)

    words = [
        start
        for start in range(len(text))
        if text.startswith(wanted, start)
        and not (start and (text[start - 1].isalnum() or text[start - 1] == "_"))
        and not (text[start + len(wanted) :][:1].isalnum() or text[start + len(wanted) :][:1] == "_")
    ]
    if words:
        assert found[0][0] == words[0]
        assert {start for start, _ in found} <= set(words)
