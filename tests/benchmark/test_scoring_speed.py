"""Scoring and encoding beside what everybody uses, by processor time in turns: ratios that fail when missed."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from harness.benchmark.scoring_speed import measure_encoding, measure_ratio, measure_rouge
from harness.config import load_experiment
from harness.data.source import newsroom_rows
from harness.tasks.summarization import SUMMARIZATION

TRIES = 3


def reach(least: float, measure: Callable[[], float]) -> float:
    """The first ratio that reaches what is asked, or else the best of three: noise comes and goes, a loss stays."""
    ratios: list[float] = []
    while len(ratios) < TRIES and max(ratios, default=0.0) < least:
        ratios.append(measure())
    return max(ratios)


@pytest.mark.parametrize(("again", "least"), [(True, 16), (False, 13)])
def test_rouge_is_many_times_as_fast_as_rouge_score(again: bool, least: float) -> None:  # noqa: FBT001
    """Four scores of 400 summaries, stemmed, whose words are known from another arm or new.

    The aim is 20 times, and 29 and 20 were measured; the bounds are lower, so that only a loss is seen and no noise.
    """
    texts = [row.target for row in newsroom_rows(SUMMARIZATION, 400, 0)]
    assert reach(least, lambda: measure_rouge(texts[::-1], texts, stemmer=True, again=again, rounds=3)) >= least


@pytest.mark.parametrize("task", ["summarization", "generation"])
def test_encoding_is_as_fast_as_a_map_over_batches(task: str) -> None:
    """Rows become ids and labels as fast as by ``datasets.map`` with the fast tokenizer.

    Most of the time is the tokenizer's own, so 1.0 to 1.1 is what there is to win; the bound lies below the noise.
    """
    experiment = load_experiment(f"{task}-full").override({"data.train_rows": 1000})
    assert reach(0.9, lambda: measure_encoding(experiment)) >= 0.9


def test_a_ratio_tells_the_faster_from_the_slower() -> None:
    """Work that takes the processor three times as long is three times as slow, and waiting counts for nothing."""

    def spin(seconds: float) -> None:
        end = time.process_time() + seconds
        while time.process_time() < end:
            pass

    assert measure_ratio(lambda: spin(0.01), lambda: spin(0.03)) == pytest.approx(3, rel=0.3)
    assert measure_ratio(lambda: (spin(0.01), time.sleep(0.05)), lambda: spin(0.01)) == pytest.approx(1, rel=0.3)


def test_a_loss_is_no_noise() -> None:
    """A ratio that misses once is measured again; one that misses each time stays a miss."""
    assert reach(2, iter([1.9, 2.1, 9.0]).__next__) == 2.1
    assert reach(2, iter([1.7, 1.9, 1.8, 9.0]).__next__) == 1.9
