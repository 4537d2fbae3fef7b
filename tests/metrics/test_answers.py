"""Answers: the rules of SQuAD 1.1 and 2.0, and published scores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.metrics.answers import ANSWERS, normalise_answer
from harness.metrics.texts import score_texts

WORDS = st.lists(st.sampled_from(["the", "The", "an", "Nile", "nile,", "river", "42", "-", "anthem"]), max_size=5).map(
    " ".join
)


def score(said: str, *references: str) -> tuple[float, float]:
    scores = score_texts(ANSWERS, [said], [list(references)])
    return float(scores["exact_match"][0]), float(scores["f1"][0])


@pytest.mark.parametrize("system", ["bert_ensemble", "logistic_regression_baseline"])
def test_squad(shared_data: Path, system: str) -> None:
    """Two systems on 12 of the 48 articles of SQuAD 1.1 have the scores of the official script on these articles."""
    folder = shared_data / "squad"
    articles = json.loads((folder / "dev-v1.1_partA.json").read_text(encoding="utf-8"))["data"]
    predictions = json.loads((folder / f"predictions_{system}.json").read_text(encoding="utf-8"))
    expected = json.loads((folder / "expected_scores.json").read_text(encoding="utf-8"))["systems"][system]["this_file"]
    asked = [entry for article in articles for part in article["paragraphs"] for entry in part["qas"]]
    references = [[answer["text"] for answer in entry["answers"]] for entry in asked]
    scores = score_texts(ANSWERS, [predictions[entry["id"]] for entry in asked], references)
    assert len(articles) == 12
    assert len(asked) == expected["total"] == 2_396
    assert {name: float(scores[name].mean()) for name in scores} == pytest.approx(
        {name: expected[name] for name in scores}, abs=1e-9
    )


def test_questions_without_answer(shared_data: Path) -> None:
    """In SQuAD 2.0 silence is right where there is no answer, and wrong where there is one."""
    articles = json.loads((shared_data / "squad" / "squad2_fixture.json").read_text(encoding="utf-8"))["data"]
    asked = [entry for article in articles for part in article["paragraphs"] for entry in part["qas"]]
    references = [[answer["text"] for answer in entry["answers"]] or [""] for entry in asked]
    without = [100.0 * entry["is_impossible"] for entry in asked]
    assert {0.0, 100.0} == set(without)
    silent = score_texts(ANSWERS, [""] * len(asked), references)
    assert silent["exact_match"].tolist() == silent["f1"].tolist() == without
    talking = score_texts(ANSWERS, [listed[0] or "something" for listed in references], references)
    assert talking["exact_match"].tolist() == [100 - score for score in without]


@pytest.mark.parametrize(
    ("said", "references", "exact", "f1"),
    [
        ("The Nile.", ["nile"], 100, 100),
        ("the river Nile", ["Nile"], 0, 200 / 3),
        ("Nile", ["Congo", "the Nile"], 100, 100),
        ("nile nile", ["nile river"], 0, 50),
        ("", [""], 100, 100),
        ("Nile", [""], 0, 0),
        ("", ["Nile"], 0, 0),
        ("U.S.", ["US"], 100, 100),
        ("anthem", ["them"], 0, 0),
    ],
)
def test_known_answers_by_hand(said: str, references: list[str], exact: float, f1: float) -> None:
    """Case, punctuation and articles do not count; words count as often as they stand; the best reference counts."""
    assert score(said, *references) == pytest.approx((exact, f1))


def test_where_the_rules_differ() -> None:
    """Of an output and a reference that are articles alone, 2.0 makes "no answer", and drops it beside another."""
    assert score("the", "The") == (100, 100)
    assert score("the", "The", "Nile") == (0, 0)
    assert score("a", "") == (100, 100)


@given(WORDS, st.lists(WORDS, min_size=1, max_size=3))
def test_f1_is_at_least_exact_match(said: str, references: list[str]) -> None:
    """An exact match is a full overlap, and no order of references matters."""
    exact, f1 = score(said, *references)
    assert exact <= f1
    assert score(said, *references[::-1]) == (exact, f1)


@given(WORDS)
def test_normalising_twice_changes_nothing(text: str) -> None:
    """A normalised answer is normalised, and its own exact match."""
    assert normalise_answer(normalise_answer(text)) == normalise_answer(text)
    assert score(normalise_answer(text), text) == (100, 100)
