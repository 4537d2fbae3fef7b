"""From a cell to a label's name: texts, numbers, truth values, and numbers on a scale."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config import DataSettings
from harness.data.columns import to_rows
from harness.data.newsroom import TOPICS, draw_event
from harness.data.rows import Row
from harness.data.source import read_source
from harness.errors import ColumnError, DataError
from harness.tasks import TASKS
from harness.tasks.classification import CLASSIFICATION
from harness.tasks.sentiment import SENTIMENT

NUMBERS = st.floats(-9, 9, allow_nan=False)
CUTS = st.lists(NUMBERS, min_size=1, max_size=5, unique=True).map(sorted)


def read_labels(*labels: object, **settings: object) -> list[str]:
    """The names that a column of labels is read as."""
    records: list[dict[str, Any]] = [{"text": "t", "label": label} for label in labels]
    return [
        row.target for row in to_rows(records, DataSettings.model_validate(settings), CLASSIFICATION, where="rows.csv")
    ]


@pytest.mark.parametrize(
    ("cell", "label"),
    [("sport", "sport"), (" two words\n", "two words"), (3, "3"), (-1, "-1"), (2.0, "2"), (0.5, "0.5"), (True, "true"),
     (False, "false"), ("7", "7"), ("007", "007")],
)  # fmt: skip
def test_label_of_a_cell(cell: object, label: str) -> None:
    """Texts lose the blanks around them, whole numbers their decimals; all become names."""
    assert read_labels(cell) == [label]


@pytest.mark.parametrize("cell", [None, "", "  ", float("nan")])
def test_empty_label(cell: object) -> None:
    """No label is an error that names row and column, or a row that is left out."""
    with pytest.raises(DataError, match=r'rows.csv, row 2 \(counted from 1\): column "label" is empty'):
        read_labels("a", cell)
    with pytest.raises(DataError, match="is empty"):
        read_labels(0.5, cell, scale=["a", "b"], thresholds=[0])
    assert read_labels("a", cell, drop_empty=True) == ["a"]


@pytest.mark.parametrize("cell", [["a"], {"a": 1}, b"a"])
def test_cell_that_is_no_label(cell: object) -> None:
    """Several labels, or none that can be named, are refused with what stands there."""
    with pytest.raises(
        DataError, match=r'row 1 \(counted from 1\): column "label" holds no label but ' + type(cell).__name__
    ):
        read_labels(cell)


def test_label_that_is_not_on_the_scale() -> None:
    """Where all labels are named, another one is refused in its row."""
    scale = {"scale": ["low", "high"]}
    assert read_labels("high", "low ", **scale) == ["high", "low"]
    with pytest.raises(
        DataError, match=r'row 2 \(counted from 1\): the label "middle" is not among those of data.scale: low, high'
    ):
        read_labels("low", "middle", **scale)


@given(CUTS, st.lists(NUMBERS, min_size=1, max_size=9), st.booleans())
def test_numbers_become_labels(cuts: list[float], numbers: list[float], written: bool) -> None:  # noqa: FBT001
    """A number has the label with as many thresholds below or at it as labels, be it a number or written as text."""
    names = [f"grade {n}" for n in range(len(cuts) + 1)]
    cells = [repr(number) for number in numbers] if written else numbers
    expected = [names[sum(cut <= number for cut in cuts)] for number in numbers]
    assert read_labels(*cells, scale=names, thresholds=cuts) == expected


@pytest.mark.parametrize("cell", ["good", True, "nan", float("inf")])
def test_no_number_for_the_thresholds(cell: object) -> None:
    """What is no number cannot be graded."""
    with pytest.raises(
        DataError, match=r"row 1 \(counted from 1\): column \"label\" holds .*, and data.thresholds wants numbers"
    ):
        read_labels(cell, scale=["a", "b"], thresholds=[0])


@given(st.lists(st.integers(-20, 20), min_size=1))
def test_numbers_are_ordered_by_size(numbers: list[int]) -> None:
    """Ids of numbers follow their size, so 10 comes behind 9."""
    rows = [Row(id=str(n), input="t", target=str(number)) for n, number in enumerate(numbers)]
    for task in (CLASSIFICATION, SENTIMENT):
        assert [int(label) for label in task.name_labels(rows)] == sorted(set(numbers))


def test_no_column_of_labels() -> None:
    """The message lists the columns that were looked for, and those that there are."""
    with pytest.raises(ColumnError, match=r"no target column: looked for label, category, .*; it has text, kind"):
        list(to_rows([{"text": "t", "kind": "a"}], DataSettings(), CLASSIFICATION, where="rows.csv"))


def test_newsroom_tells_topics() -> None:
    """The rows of the newsroom are of its eight topics, and the topic's name is not in the text as a label is."""
    rows = [CLASSIFICATION.tell(draw_event(3, index)) for index in range(100)]
    assert CLASSIFICATION.name_labels(rows) == tuple(sorted(TOPICS))


def test_every_form_of_the_tasks_is_text_or_a_head() -> None:
    """An encoder has a head, an encoder-decoder writes the name."""
    for name in ("classification", "sentiment"):
        assert TASKS[name].forms["encoder"] == "sequence-head"
        assert TASKS[name].forms["encoder-decoder"] == "encoder-decoder"


def test_banking77_reads_whole(shared_data: Path) -> None:
    """All rows of both files have one of the 77 intents."""
    folder = shared_data / "banking77"
    train, test = (
        list(read_source(str(folder / name), DataSettings(), CLASSIFICATION, split="train"))
        for name in ("train_2001.csv", "test.csv")
    )
    assert (len(train), len(test)) == (2001, 3080)
    assert CLASSIFICATION.name_labels(train) == CLASSIFICATION.name_labels(test)
    assert len(CLASSIFICATION.name_labels(train)) == 77
