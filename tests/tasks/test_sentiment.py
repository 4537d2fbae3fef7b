"""Sentiment: labels have an order, and ids follow it."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.config import DataSettings, Experiment
from harness.data.newsroom import draw_event
from harness.data.rows import Row
from harness.data.source import load_splits, read_source
from harness.errors import DataError
from harness.metrics import METRICS, Output
from harness.metrics.scorer import choose_scores
from harness.tasks.sentiment import SENTIMENT

SCALE = ("negative", "neutral", "positive")


def make_rows(*labels: str) -> list[Row]:
    return [Row(id=str(n), input="t", target=label) for n, label in enumerate(labels)]


def test_ids_follow_the_scale_and_not_the_alphabet() -> None:
    """The five moods stand from furious to delighted, also those that no row has."""
    rows = [SENTIMENT.tell(draw_event(1, index)) for index in range(50)]
    moods = ("furious", "unhappy", "neutral", "pleased", "delighted")
    assert SENTIMENT.name_labels(rows) == SENTIMENT.name_labels(make_rows("pleased", "furious")) == moods
    assert SENTIMENT.name_labels(make_rows("positive", "negative")) == ("negative", "positive")


def test_unknown_order_is_refused() -> None:
    """Labels without a known order are an error that says how to name it."""
    with pytest.raises(DataError, match=r"order of the labels is not known: good, poor\. .*data\.scale"):
        SENTIMENT.name_labels(make_rows("poor", "good"))


def test_order_of_the_settings_reaches_the_score() -> None:
    """Labels with an order of their own are scored by it: "poor" for "good" is two ranks off, "fair" one."""
    rows = make_rows("good", "good", "poor", "fair")
    scorer = choose_scores(METRICS, SENTIMENT.metrics, rows, ("poor", "fair", "good"))
    outputs = [Output(text=text) for text in ("poor", "fair", "poor", "good")]
    assert scorer.score(outputs, rows)["closeness"].tolist() == [0, 50, 100, 50]
    assert "order:poor<fair<good" in scorer.signatures["closeness"]
    numbers = make_rows("1", "5", "1", "5")
    outputs = [Output(text=text) for text in ("5", "5", "2", "2")]
    scorer = choose_scores(METRICS, SENTIMENT.metrics, numbers, ("1", "2", "3", "4", "5"))
    assert scorer.score(outputs, numbers)["closeness"].tolist() == [0, 100, 75, 25]


def test_real_ratings_become_three_labels(shared_data: Path) -> None:
    """VADER's mean ratings between -4 and 4 are named by two cuts; as many have each name as a plain count says."""
    path = shared_data / "vader" / "tweets_GroundTruth_2500.txt"
    settings = DataSettings(columns=("id", "score", "text"), scale=SCALE, thresholds=(-0.5, 0.5))
    rows = list(read_source(str(path), settings, SENTIMENT, split="train"))
    means = [float(line.split("\t")[1]) for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(rows) == len(means) == 2500
    counts = [sum(row.target == name for row in rows) for name in SCALE]
    assert counts == [
        sum(mean < -0.5 for mean in means),
        sum(-0.5 <= mean < 0.5 for mean in means),
        sum(mean >= 0.5 for mean in means),
    ]


def test_real_binary_labels_are_named(shared_data: Path) -> None:
    """SST-2's 0 and 1 become negative and positive, in the file that trains and in the one that evaluates."""
    folder = shared_data / "sst2"
    experiment = Experiment.model_validate(
        {
            "name": "sst2",
            "task": "sentiment",
            "data": {
                "source": str(folder / "train_binary_sent_1730.csv"),
                "eval_source": str(folder / "dev_binary_sent.csv"),
                "train_rows": 1730,
                "eval_rows": 872,
                "scale": ["negative", "positive"],
                "thresholds": [0.5],
            },
        }
    )
    splits = load_splits(experiment.data, SENTIMENT)
    lines = (folder / "dev_binary_sent.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert sum(row.target == "positive" for row in splits.eval) == sum(line.startswith("1,") for line in lines) > 0
