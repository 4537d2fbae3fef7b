"""Agreement with the paired tests of sacrebleu on the outputs of WMT 2017."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sacrebleu.metrics import CHRF
from sacrebleu.metrics.base import Metric, Score
from sacrebleu.significance import Result, _paired_ar_test, _paired_bs_test

from harness.statistics import Evidence, draw_flips
from tests.calibration.conftest import SYSTEMS

BASELINE = SYSTEMS[0]
SAMPLES = 4_000
ROWS = 1_500


class MeanScore(Metric):
    """The mean of the rows' own scores, so that sacrebleu's test and ours look at the same number."""

    def __init__(self, scores: np.ndarray) -> None:
        self._scores = scores

    def _extract_corpus_statistics(self, hypotheses: Sequence[str], references: Any) -> np.ndarray:
        return np.c_[self._scores, np.ones(len(self._scores))]

    def _aggregate_and_compute(self, stats: Any) -> Score:
        total = np.asarray(stats).sum(axis=0)
        return Score("mean", float(total[0] / total[1]))

    def _compute_score_from_stats(self, stats: Any) -> Score:
        return Score("mean", float(stats[0] / stats[1]))

    def _check_sentence_score_args(self, *_: Any) -> None: ...

    def _check_corpus_score_args(self, *_: Any) -> None: ...

    def _preprocess_segment(self, sent: str) -> str:
        return sent

    def _extract_reference_info(self, refs: Sequence[str]) -> dict[str, Any]:
        return {}

    def _compute_segment_statistics(self, hypothesis: str, ref_kwargs: dict[str, Any]) -> list[float]:
        return []


@pytest.fixture(scope="module")
def chrf(wmt_texts: dict[str, list[str]]) -> dict[str, np.ndarray]:
    """ChrF of each segment, by system."""
    metric = CHRF()
    reference = wmt_texts["reference"][:ROWS]
    return {
        name: np.array(
            [metric.sentence_score(a, [b]).score for a, b in zip(wmt_texts[name][:ROWS], reference, strict=True)]
        )
        for name in SYSTEMS
    }


def randomize(scores: dict[str, np.ndarray], system: str, test: Any = _paired_ar_test) -> Result:
    """Sacrebleu's paired test of a system against the baseline."""
    base = MeanScore(scores[BASELINE])
    known = base._extract_corpus_statistics([], None)
    info = {"mean": (known, Result(base._aggregate_and_compute(known).score))}
    texts = [""] * len(scores[system])
    return test(info, system, texts, None, {"mean": MeanScore(scores[system])}, n_samples=SAMPLES, seed=1)[1]["mean"]  # type: ignore[no-any-return]


@pytest.mark.parametrize("system", SYSTEMS[1:])
def test_p_value_is_that_of_approximate_randomization(chrf: dict[str, np.ndarray], system: str) -> None:
    """The sign-flip test of one metric is sacrebleu's approximate randomization: equal p within the error of draws."""
    theirs = randomize(chrf, system).p_value
    assert theirs is not None
    ours = float(draw_flips((chrf[system] - chrf[BASELINE])[:, None], flips=10_000).p_values("two-sided")[0])
    error = np.sqrt(ours * (1 - ours) * (1 / SAMPLES + 1 / 10_000))
    assert ours == pytest.approx(theirs, abs=4 * error + 2 / SAMPLES)


@pytest.mark.parametrize("rows", [60, 250])
def test_p_values_agree_where_it_is_close(chrf: dict[str, np.ndarray], rows: int) -> None:
    """On few rows, where p is neither 0 nor 1, both tests still give the same number."""
    for system in SYSTEMS[1:]:
        some = {name: chrf[name][:rows] for name in (BASELINE, system)}
        theirs = randomize(some, system).p_value
        ours = float(draw_flips((some[system] - some[BASELINE])[:, None], flips=10_000).p_values("two-sided")[0])
        assert ours == pytest.approx(theirs, abs=4 * np.sqrt(0.25 * (1 / SAMPLES + 1 / 10_000)))


@pytest.mark.parametrize("system", SYSTEMS[1:])
def test_decision_is_that_of_the_paired_bootstrap(chrf: dict[str, np.ndarray], system: str) -> None:
    """Where sacrebleu's paired bootstrap is clear (p below 0.03 or above 0.08), the gate decides the same."""
    theirs = randomize(chrf, system, _paired_bs_test).p_value
    assert theirs is not None
    deltas = (chrf[system] - chrf[BASELINE])[:, None, None]
    evidence = Evidence(deltas=deltas, yes_no=(False,), level=0.05, flips=10_000)
    if not 0.03 < theirs < 0.08:
        assert (evidence.p_values("two-sided")[0] <= 0.05) == (theirs <= 0.05)
        low, high = evidence.interval(0)
        assert (low > 0 or high < 0) == (theirs <= 0.05)
