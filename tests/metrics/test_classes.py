"""Accuracy and F1 of labels: scikit-learn's numbers, and what outputs that are no label do."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from harness.data.rows import Row
from harness.metrics import Output
from harness.metrics.classes import CLASSES
from harness.metrics.texts import score_texts

LABELS = st.sampled_from(["sport", "crime", "science"])
PAIRS = st.lists(st.tuples(st.one_of(LABELS, st.just("no idea")), LABELS), min_size=1, max_size=25)


def score(said: list[str], meant: list[str]) -> dict[str, np.ndarray]:
    return score_texts(CLASSES, said, [[label] for label in meant])


@given(PAIRS)
def test_equal_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    """Scores of the set are scikit-learn's over the labels of the targets."""
    said, meant = [list(column) for column in zip(*pairs, strict=True)]
    scores = score(said, meant)
    options = {"labels": sorted(set(meant)), "zero_division": 0}
    assert scores["accuracy"].mean() == pytest.approx(100 * accuracy_score(meant, said), abs=1e-9)
    assert scores["macro_f1"].mean() == pytest.approx(100 * f1_score(meant, said, average="macro", **options), abs=1e-9)
    weighted = 100 * f1_score(meant, said, average="weighted", **options)
    assert scores["weighted_f1"].mean() == pytest.approx(weighted, abs=1e-9)


@given(PAIRS.filter(lambda pairs: len(pairs) > 1))
def test_shares_leave_out_one_row_each(pairs: list[tuple[str, str]]) -> None:
    """A row's share says what scikit-learn gives without it, over the labels of all rows."""
    said, meant = [list(column) for column in zip(*pairs, strict=True)]
    rows = len(pairs)
    for name in ("macro", "weighted"):
        share = score(said, meant)[f"{name}_f1"]
        without = [
            100
            * f1_score(
                meant[:n] + meant[n + 1 :],
                said[:n] + said[n + 1 :],
                average=name,
                labels=sorted(set(meant)),
                zero_division=0,
            )
            for n in range(rows)
        ]
        assert share - share.mean() == pytest.approx((rows - 1) * (np.mean(without) - np.array(without)), abs=1e-6)


@given(PAIRS)
def test_confusion_matrix_equals_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    """Targets down, outputs across, and a last column for what is no label; every row is counted once."""
    said, meant = [list(column) for column in zip(*pairs, strict=True)]
    labels = sorted(set(meant))
    rows = [Row(id=str(n), input="", target=label) for n, label in enumerate(meant)]
    (table,) = CLASSES.tables([Output(text=text) for text in said], rows)
    assert table.columns == ("target", *labels, "no label")
    heard = [label if label in labels else "no idea" for label in said]
    expected = confusion_matrix(meant, heard, labels=[*labels, "no idea"])[:-1].tolist()
    assert [list(line) for line in table.rows] == [[label, *line] for label, line in zip(labels, expected, strict=True)]
    assert sum(map(sum, expected)) == len(pairs)


def test_known_answer_by_hand() -> None:
    """Of 3 a and 1 b, a is right twice and b once: F1 4/5 and 2/3, their mean 73.3, weighted 76.7."""
    scores = score([" a", "a\n", "b", "b"], ["a", "a", "a", "b"])
    assert scores["accuracy"].tolist() == [100, 100, 0, 100]
    assert scores["macro_f1"].mean() == pytest.approx(100 * (4 / 5 + 2 / 3) / 2)
    assert scores["weighted_f1"].mean() == pytest.approx(100 * (3 * 4 / 5 + 2 / 3) / 4)


def test_a_label_that_no_row_has_lowers_no_average() -> None:
    """What models say beside the labels counts as wrong, and adds no label to the average."""
    some = score(["a", "b", "c"], ["a", "b", "b"])
    other = score(["a", "b", "nonsense"], ["a", "b", "b"])
    assert some["macro_f1"].tolist() == other["macro_f1"].tolist()
    assert some["accuracy"].tolist() == [100, 100, 0]
