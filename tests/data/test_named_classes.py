"""Classes that a data set stores as numbers are read by their names."""

from __future__ import annotations

from pathlib import Path

from datasets import ClassLabel, Dataset, Features, Sequence, Value

from harness.config import DataSettings
from harness.data.named_classes import name_classes
from harness.data.source import read_source
from harness.tasks.classification import CLASSIFICATION

FEATURES = Features(
    {
        "text": Value("string"),
        "label": ClassLabel(names=["world", "sport"]),
        "tags": Sequence(ClassLabel(names=["O", "B-x"])),
        "stars": Value("int64"),
    }
)
RECORDS = {"text": ["a", "b", "c"], "label": [1, 0, -1], "tags": [[0, 1], [], [1]], "stars": [1, 2, 3]}


def make_dataset() -> Dataset:
    return Dataset.from_dict(RECORDS, features=FEATURES)


def test_numbers_become_names() -> None:
    """Each number of a class is its name, in lists as well; -1 is nothing, and plain numbers stay."""
    records = list(name_classes(make_dataset()))
    assert [record["label"] for record in records] == ["sport", "world", None]
    assert [record["tags"] for record in records] == [["O", "B-x"], [], ["B-x"]]
    assert [record["stars"] for record in records] == [1, 2, 3]


def test_saved_data_set_has_named_labels(tmp_path: Path) -> None:
    """A folder that ``datasets`` saved gives rows with the labels' names."""
    make_dataset().save_to_disk(tmp_path / "saved")
    settings = DataSettings(drop_empty=True)
    rows = read_source(str(tmp_path / "saved"), settings, CLASSIFICATION, split="train")
    assert [row.target for row in rows] == ["sport", "world"]
