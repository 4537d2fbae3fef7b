"""Labels with an order: near misses cost less than far ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.rows import Row
from harness.data.scales import MOODS, SCALES, order_labels
from harness.errors import DataError
from harness.metrics import METRICS, Metric, Output
from harness.metrics.grades import GRADES, Grades
from harness.metrics.texts import score_texts

PAIRS = st.lists(st.tuples(st.sampled_from([*MOODS, "hungry"]), st.sampled_from(MOODS)), min_size=1, max_size=20)


def closeness(said: list[str], meant: list[str], metric: Metric = GRADES) -> list[float]:
    return score_texts(metric, said, [[label] for label in meant])["closeness"].tolist()  # type: ignore[no-any-return]


def test_known_answer_by_hand() -> None:
    """Each rank of five costs 25 points; what is no label has 0."""
    assert closeness(list(MOODS), ["furious"] * 5) == [100, 75, 50, 25, 0]
    assert closeness(["hungry", "", " neutral\n"], ["neutral"] * 3) == [0, 0, 100]


@given(PAIRS)
def test_closeness_is_the_mean_absolute_error_in_ranks(pairs: list[tuple[str, str]]) -> None:
    """100 less closeness is the mean distance of the ranks, of 4 at most; what is no label is as far as can be."""
    said, meant = [list(column) for column in zip(*pairs, strict=True)]
    far = [abs(MOODS.index(one) - MOODS.index(other)) if one in MOODS else 4 for one, other in pairs]
    assert np.mean(closeness(said, meant)) == pytest.approx(100 - 25 * np.mean(far))


@given(PAIRS)
def test_accuracy_and_f1_are_those_of_classes(pairs: list[tuple[str, str]]) -> None:
    """The same names mean the same numbers, signatures and all, so both families can be asked for together."""
    said, references = [one for one, _ in pairs], [[other] for _, other in pairs]
    classes = METRICS["classes"]
    ours, theirs = score_texts(GRADES, said, references), score_texts(classes, said, references)
    for name in ("accuracy", "macro_f1"):
        assert ours[name].tolist() == theirs[name].tolist()
        assert GRADES.signatures[name] == classes.signatures[name]
    rows = [Row(id=str(n), input="", target=target) for n, (_, target) in enumerate(pairs)]
    outputs = [Output(text=text) for text in said]
    assert GRADES.tables(outputs, rows) == classes.tables(outputs, rows) != ()
    assert GRADES.tables(outputs, rows)[0].columns[1:-1] == MOODS


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        (["10", "9", "-1.5"], ("-1.5", "9", "10")),
        (["positive", "negative"], ("negative", "positive")),
        (["positive", "neutral"], ("negative", "neutral", "positive")),
        (["delighted"], MOODS),
        (["sport", "crime"], None),
        (["1", "many"], None),
        (["nan", "1"], None),
    ],
)
def test_order(labels: list[str], order: tuple[str, ...] | None) -> None:
    """Numbers go by size, names by the first scale that has them all."""
    assert order_labels(labels) == order


@given(st.sampled_from(SCALES).flatmap(lambda scale: st.sets(st.sampled_from(scale), min_size=1)))
def test_a_known_scale_orders_its_labels(labels: set[str]) -> None:
    """Whichever labels of a scale occur, an order is found that has them all."""
    assert labels <= set(order_labels(labels) or ())


def test_own_order() -> None:
    """An order of one's own comes first, and stands in the signature."""
    metric = Grades(order=("cold", "mild", "hot"))
    assert closeness(["mild"], ["hot"], metric) == [50]
    assert "order:cold<mild<hot" in metric.signatures["closeness"]


def test_unknown_order_is_said() -> None:
    """Labels without an order do not apply, and scoring them nevertheless says what to do."""
    rows = [Row(id="1", input="", target="sport"), Row(id="2", input="", target="crime")]
    assert not GRADES.applies(rows)
    with pytest.raises(DataError, match=r"crime, sport.*Grades\(order="):
        GRADES.score([Output(text="sport"), Output(text="crime")], rows)
