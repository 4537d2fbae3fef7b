"""The sign-flip test on jackknife shares keeps its promise: 5 % false alarms, and real differences are found."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from harness.metrics.bleu import Bleu
from harness.metrics.classes import macro_f1
from harness.metrics.entities import precision_recall_f1
from harness.metrics.texts import score_texts
from harness.statistics import Alternative, draw_flips, share_of_sums
from tests.calibration.conftest import SYSTEMS

TRIALS = 1_000
TOGETHER = 50
"""Trials that share one draw of flips; many of them would be off together where that draw is."""
LEVEL = 0.05
LIMITS = binom.ppf([0.0005, 0.9995], TRIALS, LEVEL) / TRIALS
"""The shares of false alarms that chance explains in 99.9 % of measurements: 2.9 to 7.4 %."""
CLOSE = ("FBK.4870", "online-B.0")
"""Systems of which it is not plain that they differ from the first."""
PRIORS = np.array([0.7, 0.2, 0.1])
Floats = np.ndarray
Simulation = Callable[[np.random.Generator, int, tuple[float, float]], Floats]


def logistic(values: Floats) -> Floats:
    return 1 / (1 + np.exp(-values))  # type: ignore[no-any-return]


def count_labels(meant: Floats, said: Floats) -> Floats:
    is_meant, is_said = (labels[:, None] == np.arange(len(PRIORS)) for labels in (meant, said))
    return np.stack([is_meant & is_said, is_meant, is_said], axis=-1).astype(np.float64)


def macro_f1_of_skewed_classes(generator: np.random.Generator, rows: int, skills: tuple[float, float]) -> Floats:
    """Deltas of macro F1: 7 : 2 : 1 in three classes; rows are hard for both systems or for none; who fails guesses."""
    meant = generator.choice(len(PRIORS), p=PRIORS, size=rows)
    hardness = generator.normal(size=rows)
    shares = []
    for skill in skills:
        knows = hardness + generator.normal(size=rows) < skill
        said = np.where(knows, meant, generator.choice(len(PRIORS), p=PRIORS, size=rows))
        shares.append(share_of_sums(count_labels(meant, said), macro_f1))
    return shares[0] - shares[1]  # type: ignore[no-any-return]


def entity_f1(generator: np.random.Generator, rows: int, skills: tuple[float, float]) -> Floats:
    """Deltas of entity F1: few rows have many entities, many have none, and both systems invent some."""
    meant = generator.poisson(np.exp(generator.normal(0, 0.8, rows)))
    ease = generator.normal(size=rows)
    shares = []
    for skill in skills:
        right = generator.binomial(meant, logistic(skill + ease + 0.5 * generator.normal(size=rows)))
        counts = np.stack([right, right + generator.poisson(0.4, rows), meant], axis=-1).astype(np.float64)
        shares.append(share_of_sums(counts, lambda sums: precision_recall_f1(sums)[2]))
    return shares[0] - shares[1]  # type: ignore[no-any-return]


def corpus_bleu(generator: np.random.Generator, rows: int, skills: tuple[float, float]) -> Floats:
    """Deltas of a ratio like corpus BLEU: four n-gram precisions and a brevity penalty, lengths that vary widely."""
    lengths = 3 + generator.poisson(np.exp(generator.normal(2.7, 0.6, rows)))
    ease = 0.6 * generator.normal(size=rows)
    shares = []
    for skill in skills:
        written = np.maximum(1, lengths + np.rint(0.15 * lengths * generator.normal(size=rows)).astype(int) - 1)
        chance = logistic(skill + ease + 0.4 * generator.normal(size=rows))
        totals = [np.maximum(0, written - order) for order in range(4)]
        matches = [generator.binomial(totals[0], chance)]
        for total in totals[1:]:
            matches.append(generator.binomial(np.minimum(matches[-1], total), np.sqrt(chance)))
        counts = np.stack([written, lengths, *matches, *totals], axis=-1).astype(np.float64)
        shares.append(share_of_sums(counts, bleu_of_sums))
    return shares[0] - shares[1]  # type: ignore[no-any-return]


def bleu_of_sums(sums: Floats) -> Floats:
    """BLEU from summed counts: written, reference length, 4 matches, 4 totals."""
    brevity = np.minimum(0, 1 - sums[:, 1] / sums[:, 0])
    precision = np.log(np.maximum(sums[:, 2:6], 0.5) / np.maximum(sums[:, 6:], 1)).mean(axis=1)
    return 100 * np.exp(brevity + precision)  # type: ignore[no-any-return]


def alarms(deltas: Floats, *, seed: int, alternative: Alternative = "two-sided") -> float:
    """The share of trials that the test calls different; deltas: (rows, trials)."""
    found = 0
    for start in range(0, deltas.shape[1], TOGETHER):
        drawn = draw_flips(deltas[:, start : start + TOGETHER, None], flips=1_000, seed=seed + start)
        found += int((drawn.p_values(alternative) <= LEVEL).sum())
    return found / deltas.shape[1]


def simulate(simulation: Simulation, rows: int, skills: tuple[float, float], *, seed: int, trials: int) -> Floats:
    """(rows, trials): deltas of many pairs of systems."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return np.stack([simulation(generator, rows, skills) for _ in range(trials)], axis=1)


EQUAL = [(macro_f1_of_skewed_classes, (1.0, 1.0)), (entity_f1, (0.8, 0.8)), (corpus_bleu, (0.3, 0.3))]
BETTER = [(macro_f1_of_skewed_classes, (1.9, 1.0)), (entity_f1, (1.4, 0.8)), (corpus_bleu, (0.5, 0.3))]


@pytest.mark.parametrize("rows", [100, 200, 300])
@pytest.mark.parametrize(("simulation", "skills"), EQUAL)
def test_equally_good_systems_raise_no_more_alarms_than_promised(
    simulation: Simulation, skills: tuple[float, float], rows: int
) -> None:
    """Two systems of one skill are called different in 5 % of 1,000 sets, within the limits of chance."""
    deltas = simulate(simulation, rows, skills, seed=rows, trials=TRIALS)
    low, high = LIMITS
    assert low <= alarms(deltas, seed=rows) <= high
    assert low <= alarms(deltas, seed=rows, alternative="less") <= high


@pytest.mark.parametrize(("simulation", "skills"), BETTER)
def test_a_better_system_is_found(simulation: Simulation, skills: tuple[float, float]) -> None:
    """A real difference is found in most of the sets of 300 rows, and never with the wrong sign in many."""
    deltas = simulate(simulation, 300, skills, seed=1, trials=200)
    assert alarms(deltas, seed=1, alternative="greater") > 0.7
    assert alarms(deltas, seed=1, alternative="less") < 0.01


@pytest.mark.parametrize("rows", [100, 300])
def test_systems_that_err_elsewhere_and_are_equally_good(rows: int) -> None:
    """One is strong on the common class and one on the rare ones, with equal macro F1: no exchange, and still 5 %."""
    generator = np.random.Generator(np.random.PCG64(rows))
    # The last number makes both macro F1 equal, 69.1, over endlessly many rows.
    systems = np.array([[0.95, 0.6, 0.5], [0.7, 0.9, 0.790877]])
    assert population_f1(systems[0]) == pytest.approx(population_f1(systems[1]), abs=1e-4)
    trials = []
    for _ in range(TRIALS):
        meant = generator.choice(3, p=PRIORS, size=rows)
        one, other = (
            share_of_sums(count_labels(meant, err(generator, meant, right[meant])), macro_f1) for right in systems
        )
        trials.append(one - other)
    low, high = LIMITS
    assert low <= alarms(np.stack(trials, axis=1), seed=rows) <= high


def err(generator: np.random.Generator, meant: Floats, right: Floats) -> Floats:
    """The label that was meant with the chance given, else one of the two others."""
    other = (meant + generator.integers(1, 3, size=len(meant))) % 3
    return np.where(generator.random(len(meant)) < right, meant, other)


def population_f1(right: Floats) -> float:
    """Macro F1 over endlessly many rows."""
    joint = PRIORS[:, None] * (np.diag(right) + (1 - right)[:, None] * (1 - np.eye(3)) / 2)
    counts = np.stack([np.diag(joint), joint.sum(axis=1), joint.sum(axis=0)], axis=-1)
    return float(macro_f1(1e9 * counts[None])[0])


def test_rows_that_are_counted_twice_are_found_out() -> None:
    """The measurement can fail: the same rows over again are no new evidence, and the alarms pass the limits."""
    deltas = simulate(entity_f1, 100, (0.8, 0.8), seed=2, trials=TRIALS)
    assert alarms(np.repeat(deltas, 2, axis=0), seed=2) > LIMITS[1]


@pytest.fixture(scope="module")
def bleu_shares(wmt_texts: dict[str, list[str]]) -> dict[str, Floats]:
    """Each row's share in BLEU without tokenisation, by system."""
    references = [[text] for text in wmt_texts["reference"]]
    return {
        name: score_texts(Bleu(tokenizer="none"), wmt_texts[name], references)["bleu"] for name in (SYSTEMS[0], *CLOSE)
    }


@pytest.mark.parametrize("system", CLOSE)
def test_p_value_of_corpus_bleu_is_that_of_multeval(
    shared_data: Path, bleu_shares: dict[str, Floats], system: str
) -> None:
    """Flipping the shares of rows gives the p-value of exchanging the rows' outputs and scoring the sets anew."""
    known = json.loads((shared_data / "wmt17-en-de" / "expected_scores.json").read_text(encoding="utf-8"))["systems"]
    deltas = bleu_shares[system] - bleu_shares[SYSTEMS[0]]
    found = float(draw_flips(deltas[:, None], flips=10_000).p_values("two-sided")[0])
    assert found == pytest.approx(known[system]["p_vs_LIUM_randomization_multeval_bleu_ter"][0], abs=0.01)
