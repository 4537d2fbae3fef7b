"""Labels across the splits: what evaluates was there to learn, and one label alone is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.config import DataSettings
from harness.data.known_labels import put_new_labels_first
from harness.data.rows import Row
from harness.data.source import load_splits
from harness.errors import DataError
from harness.spool import Spool
from harness.tasks.classification import CLASSIFICATION
from harness.tasks.summarization import SUMMARIZATION

LABELS = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=30)
ANY = DataSettings()


def make_rows(labels: list[str], first: int = 0) -> list[Row]:
    return [Row(id=str(first + n), input=f"text {first + n}", target=label) for n, label in enumerate(labels)]


def write(path: Path, labels: list[object], first: int = 0) -> str:
    records = [{"text": f"text {first + n}", "label": label} for n, label in enumerate(labels)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records), encoding="utf-8")
    return str(path)


def split(train: str, evaluation: str | None = None, rows: int = 6, **settings: object) -> list[str]:
    """The labels that evaluate."""
    given = {"source": train, "eval_source": evaluation, "train_rows": rows, "eval_rows": 3, "allow_fewer": True}
    return [row.target for row in load_splits(DataSettings.model_validate(given | settings), CLASSIFICATION).eval]


@given(LABELS)
def test_each_label_comes_first_once(labels: list[str]) -> None:
    """The first rows carry every label once; all rows are kept, and each part keeps its order."""
    rows = make_rows(labels)
    ordered = put_new_labels_first(Spool(rows), ANY, CLASSIFICATION)
    kinds = len(set(labels))
    assert {row.target for row in ordered[:kinds]} == set(labels)
    assert sorted(row.id for row in ordered) == sorted(row.id for row in rows)
    for part in (ordered[:kinds], ordered[kinds:]):
        assert [int(row.id) for row in part] == sorted(int(row.id) for row in part)


@given(LABELS)
def test_texts_keep_their_order(labels: list[str]) -> None:
    """Where targets are texts no row moves."""
    rows = make_rows(labels)
    assert put_new_labels_first(Spool(rows), ANY, SUMMARIZATION) == rows


@given(seed=st.integers(0, 99))
def test_rare_labels_train(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever is drawn of one source: a label with one row never evaluates."""
    path = tmp_path_factory.mktemp("rare") / "rows.jsonl"
    assert set(split(write(path, [*"aaabbb", "c", "d"]), seed=seed)) <= {"a", "b"}


def test_unknown_label_is_named_with_the_known_ones(tmp_path: Path) -> None:
    """An evaluation file with another label is refused before anything is loaded, row and labels named."""
    train, other = write(tmp_path / "t.jsonl", [*"aabbcc"]), write(tmp_path / "e.jsonl", ["a", "x", "b"], first=50)
    with pytest.raises(DataError, match=r'1 of 3 evaluation rows have .* row id 1 "x"\. Known are: a, b, c\.'):
        split(train, other)
    assert sorted(split(train, other, scale=["a", "b", "c", "x"])) == ["a", "b", "x"]


def test_more_labels_than_training_rows(tmp_path: Path) -> None:
    """With fewer training rows than labels the message says to draw more."""
    with pytest.raises(DataError, match=r"draw more training rows \(data.train_rows\)"):
        split(write(tmp_path / "t.jsonl", [*"abcdefghi"]), rows=6)


def test_one_label_is_refused(tmp_path: Path) -> None:
    """A set in which every training row has the same label teaches nothing."""
    with pytest.raises(DataError, match=r'All 6 training rows have the label "a" \(the first is row id \d\)'):
        split(write(tmp_path / "t.jsonl", ["a"] * 9))


def test_numbers_among_words_are_refused(tmp_path: Path) -> None:
    """A column of mixed kinds is refused, the rows of the rarer kind named, unless the settings name both."""
    path = write(tmp_path / "t.jsonl", ["spam", "ham", "spam", 1, "ham", "spam", "ham", "spam", "ham"])
    with pytest.raises(
        DataError, match=r'1 of 9 rows have numbers for labels, unlike the others: row id 3 "1"; row id \d'
    ):
        split(path)
    assert split(path, scale=["ham", "spam", "1"])


def test_number_that_was_never_named(tmp_path: Path) -> None:
    """Ratings with decimals are all different labels; the message leads to the thresholds."""
    with pytest.raises(DataError, match=r"numbers become labels by data\.thresholds"):
        split(write(tmp_path / "t.jsonl", [n / 7 for n in range(9)]))
