"""What every family of scores keeps to."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.data.rows import Row
from harness.data.source import newsroom_rows
from harness.metrics import METRICS, Output
from harness.tasks.summarization import SUMMARIZATION

TEXTS = st.lists(st.sampled_from(["the", "cat", "cats", "sat", "on", "a", "mat", "."]), min_size=1, max_size=9).map(
    " ".join
)
LABELS = st.sampled_from(["furious", "unhappy", "neutral", "pleased", "delighted"])
TAGS = st.lists(st.sampled_from(["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]), min_size=5, max_size=5).map(" ".join)
NEWS = newsroom_rows(SUMMARIZATION, 12, 0)
STATEMENTS = st.lists(st.sampled_from([*NEWS[0].input.split(), *NEWS[1].target.split(), "Zorro", "9.5"])).map(" ".join)
FAMILIES = {
    "answers": (TEXTS, st.one_of(TEXTS, st.just(""))),
    "bleu": (TEXTS, TEXTS),
    "classes": (st.one_of(LABELS, st.just("none")), LABELS),
    "distinct": (st.one_of(TEXTS, st.just("")), TEXTS),
    "entities": (TAGS, TAGS),
    "facts": (STATEMENTS, st.none()),
    "grades": (st.one_of(LABELS, st.just("none")), LABELS),
    "perplexity": (TEXTS, TEXTS),
    "rouge": (TEXTS, TEXTS),
}
"""For each family what models write, and what they should write."""


def draw_set(data: st.DataObject, family: str) -> tuple[list[Output], list[Row]]:
    said, meant = FAMILIES[family]
    pairs = data.draw(st.lists(st.tuples(said, meant), min_size=1, max_size=12), label="pairs")
    rows = (
        NEWS if family == "facts" else [Row(id=str(n), input="", target=target) for n, (_, target) in enumerate(pairs)]
    )
    nats = data.draw(st.lists(st.floats(0, 50), min_size=len(pairs), max_size=len(pairs)), label="nats")
    outputs = [Output(text=text, nats=nats[n], tokens=1 + n % 4) for n, (text, _) in enumerate(pairs)]
    return outputs, list(rows[: len(outputs)])


def means(family: str, outputs: Sequence[Output], rows: Sequence[Row]) -> dict[str, float]:
    return {name: float(scores.mean()) for name, scores in METRICS[family].score(outputs, rows).items()}


def test_every_family_is_tested() -> None:
    """A family that is registered has to pass the tests of this file."""
    for family in FAMILIES:
        METRICS.require(family)
    assert list(METRICS._places) == list(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES)
@given(st.data())
def test_one_finite_number_a_row_for_each_signature(family: str, data: st.DataObject) -> None:
    """Every signature has its scores, one float64 a row, and what is no mean over rows says so."""
    outputs, rows = draw_set(data, family)
    metric = METRICS[family]
    assert metric.applies(rows)
    scores = metric.score(outputs, rows)
    assert list(scores) == list(metric.signatures)
    assert metric.lower_is_better <= set(scores)
    for name, values in scores.items():
        assert (values.shape, values.dtype) == ((len(rows),), np.float64)
        assert np.isfinite(values).all()
        assert metric.signatures[name].startswith(f"{name}|")


@pytest.mark.parametrize("family", FAMILIES)
@given(st.data())
def test_scores_of_sets_lie_between_0_and_100(family: str, data: st.DataObject) -> None:
    """The score of a set is 0 to 100, perplexity 1 or more; so is a row's own score, unlike a jackknife share."""
    outputs, rows = draw_set(data, family)
    metric = METRICS[family]
    for name, values in metric.score(outputs, rows).items():
        seen = np.array([values.mean()]) if "rows:jackknife" in metric.signatures[name] else values
        low, high = (1, np.inf) if name == "perplexity" else (0, 100)
        assert (seen >= low - 1e-9).all()
        assert (seen <= high + 1e-9).all()


@pytest.mark.parametrize("family", FAMILIES)
@given(st.data())
def test_order_of_rows_does_not_matter(family: str, data: st.DataObject) -> None:
    """Rows in another order have the same scores, in that order."""
    outputs, rows = draw_set(data, family)
    order = data.draw(st.permutations(range(len(rows))), label="order")
    scores = METRICS[family].score(outputs, rows)
    again = METRICS[family].score([outputs[n] for n in order], [rows[n] for n in order])
    for name, values in scores.items():
        assert again[name] == pytest.approx(values[order], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("family", [name for name in FAMILIES if name not in {"distinct", "perplexity"}])
@given(st.data())
def test_the_target_itself_scores_best(family: str, data: st.DataObject) -> None:
    """Who writes the target scores 100 of 100, and invents 0."""
    _, rows = draw_set(data, family)
    if family in {"bleu", "rouge"}:  # a text shorter than an n-gram has none
        rows = [Row(id=row.id, input="", target=f"{row.target} and that was it") for row in rows]
    if family == "entities":
        rows = [Row(id=row.id, input="", target=f"{row.target} O B-LOC") for row in rows]
    scores = means(family, [Output(text=row.target) for row in rows], rows)
    best = {name: 0 if name in METRICS[family].lower_is_better else 100 for name in scores}
    assert scores == pytest.approx(best)
